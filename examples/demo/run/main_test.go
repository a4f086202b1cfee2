package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/pintle-io/pintle/examples/demo/manifests"
)

// The manifests decode strictly, hold what the page's URL and the waits name,
// and name only images that the demo packs.
func TestManifests(t *testing.T) {
	codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests.Demo)))
	kinds := map[string]int{}
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		obj, kind, err := codecs.UniversalDeserializer().Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		kinds[kind.Kind]++
		for _, c := range containers(obj) {
			if c.Image != "pintle-demo/web:1" && c.Image != "pintle-demo/counter:1" {
				t.Errorf("image %s is not packed by the demo", c.Image)
			}
		}
		if svc, ok := obj.(*corev1.Service); ok && svc.Name == "web" {
			if want := fmt.Sprintf("http://127.0.0.1:%d/", svc.Spec.Ports[0].NodePort); want != pageURL {
				t.Errorf("the page is at %s, the demo fetches %s", want, pageURL)
			}
		}
	}
	for _, kind := range []string{"Namespace", "ConfigMap", "Secret", "Deployment", "Service", "Job"} {
		if kinds[kind] == 0 {
			t.Errorf("the example shows no %s", kind)
		}
	}
}

func containers(obj runtime.Object) []corev1.Container {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Spec.Containers
	case *batchv1.Job:
		return o.Spec.Template.Spec.Containers
	}
	return nil
}

// The first requests may fail; the page is fetched until it shows its number.
func TestFetch(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "not yet", http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, `<div class="visits" id="visits">42</div>`)
	}))
	defer srv.Close()
	if got, err := fetch(t.Context(), srv.URL); err != nil || got != "42" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCommandLines(t *testing.T) {
	d := demo{data: "/somewhere"}
	got := strings.Join(append(d.own("image", "import"), "a.tar"), " ") + "; " + strings.Join(d.kubectl("get", "pods"), " ")
	if want := "image import --data /somewhere a.tar; get pods --kubeconfig /somewhere/kubeconfig"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
