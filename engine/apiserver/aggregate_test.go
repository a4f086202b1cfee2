package apiserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/openapi"
	"github.com/pintle-io/pintle/engine/registry"
)

// extension is an API server of another group, which remembers who asked.
type extension struct {
	mu struct {
		sync.Mutex
		user, certificate string
	}
}

func (x *extension) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var answer any
	switch req.URL.Path {
	case "/apis/fruit.example.com/v1":
		answer = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "fruit.example.com/v1",
			APIResources: []metav1.APIResource{{Name: "apples", SingularName: "apple", Kind: "Apple", Verbs: metav1.Verbs{"get"}}},
		}
	case "/apis/fruit.example.com/v1/apples/red":
		x.mu.Lock()
		x.mu.user = req.Header.Get("X-Remote-User")
		if len(req.TLS.PeerCertificates) > 0 {
			x.mu.certificate = req.TLS.PeerCertificates[0].Subject.CommonName
		}
		x.mu.Unlock()
		answer = map[string]any{"kind": "Apple", "apiVersion": "fruit.example.com/v1", "metadata": map[string]any{"name": "red"}}
	case "/openapi/v2":
		answer = json.RawMessage(fruitSwagger)
	default:
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// fruitSwagger describes apples, and means something of its own by an ObjectMeta.
const fruitSwagger = `{
	"swagger": "2.0", "info": {"title": "fruit", "version": "1"},
	"paths": {
		"/apis/fruit.example.com/v1/apples/{name}": {"get": {"responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Apple"}}}}},
		"/version/": {"get": {"responses": {"200": {"description": "OK"}}}}
	},
	"definitions": {
		"Apple": {"type": "object", "description": "a fruit",
			"properties": {"metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}},
			"x-kubernetes-group-version-kind": [{"group": "fruit.example.com", "version": "v1", "kind": "Apple"}]},
		"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "description": "another one"}
	}
}`

// frontProxy is a client certificate with its key, which is its own authority.
func frontProxy(t *testing.T, name string) apiserver.FrontProxy {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	data := append(bytes.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
	file := filepath.Join(t.TempDir(), "front-proxy.pem")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return apiserver.FrontProxy{File: file, Name: name, CA: cert}
}

// An extension server is reached over TLS, is told who asks, and is in discovery
// while it is available; what is built in has APIServices too.
func TestAggregation(t *testing.T) {
	fruit := &extension{}
	backend := httptest.NewUnstartedServer(fruit)
	backend.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	backend.StartTLS()
	defer backend.Close()
	port := backend.Listener.Addr().(*net.TCPAddr).Port

	docs, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, func(_ *registry.Config, cfg *apiserver.Config) {
		cfg.FrontProxy = frontProxy(t, "proxy")
		cfg.OpenAPI = docs
	})
	aggregator := aggregatorclient.NewForConfigOrDie(e.rest).ApiregistrationV1().APIServices()
	local, err := aggregator.Get(e.ctx, "v1.apps", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !available(local) {
		t.Errorf("v1.apps is not available: %+v", local.Status)
	}

	e.namespace(t, "fruit")
	extensionService(t, e)
	_, err = aggregator.Create(e.ctx, &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.fruit.example.com"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "fruit.example.com", Version: "v1", GroupPriorityMinimum: 2000, VersionPriority: 10, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: "fruit", Name: "server", Port: new(int32(port))},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := aggregator.Watch(e.ctx, metav1.ListOptions{FieldSelector: "metadata.name=v1.fruit.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for !available(next(t, w).Object.(*apiregistrationv1.APIService)) {
	}

	if _, err := e.kube.CoreV1().RESTClient().Get().AbsPath("/apis/fruit.example.com/v1/apples/red").DoRaw(e.ctx); err != nil {
		t.Fatal(err)
	}
	fruit.mu.Lock()
	defer fruit.mu.Unlock()
	if diff := cmp.Diff([]string{"admin", "proxy"}, []string{fruit.mu.user, fruit.mu.certificate}); diff != "" {
		t.Errorf("identity the extension server saw:\n%s", diff)
	}
	list, err := e.kube.Discovery().ServerResourcesForGroupVersion("fruit.example.com/v1")
	if err != nil || len(list.APIResources) != 1 {
		t.Errorf("discovery: %v, %v", list, err)
	}
	awaitFruitDocuments(t, e, true)
	if err := aggregator.Delete(e.ctx, "v1.fruit.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitFruitDocuments(t, e, false)
}

// extensionService makes a service that stands for this machine.
func extensionService(t *testing.T, e *environment) {
	t.Helper()
	_, err := e.kube.CoreV1().Services("fruit").Create(e.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// The documents of an extension server are among ours while its APIService is there.
func awaitFruitDocuments(t *testing.T, e *environment, want bool) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(e.ctx, 20*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		raw, err := e.kube.Discovery().RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(ctx)
		if err != nil {
			return false, err
		}
		var swagger struct {
			Definitions map[string]json.RawMessage `json:"definitions"`
		}
		if err := json.Unmarshal(raw, &swagger); err != nil {
			return false, err
		}
		last = string(swagger.Definitions["Apple"])
		paths, err := e.kube.Discovery().OpenAPIV3().Paths()
		if err != nil {
			return false, err
		}
		fruit := paths["apis/fruit.example.com/v1"]
		if !want {
			return last == "" && fruit == nil, nil
		}
		if !strings.Contains(last, "ObjectMeta_v2") || fruit == nil {
			return false, nil
		}
		doc, err := fruit.Schema("application/json")
		return strings.Contains(string(doc), "a fruit"), err
	})
	if err != nil {
		t.Errorf("documents of the extension server, wanted %v: %v; its definition: %s", want, err, last)
	}
}

func available(s *apiregistrationv1.APIService) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			return c.Status == apiregistrationv1.ConditionTrue
		}
	}
	return false
}
