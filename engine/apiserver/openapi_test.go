package apiserver_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/openapi"
	"github.com/pintle-io/pintle/engine/registry"
)

func TestOpenAPIDescribesWhatIsServed(t *testing.T) {
	docs, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, func(_ *registry.Config, c *apiserver.Config) { c.OpenAPI = docs })
	paths, err := e.kube.Discovery().OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range served.Table() {
		path := "apis/" + row.GVK.GroupVersion().String()
		if row.GVK.Group == "" {
			path = "api/v1"
		}
		if _, ok := paths[path]; !ok {
			t.Errorf("no document for %s: run `task gen`", path)
		}
	}
	doc, err := paths["apis/apps/v1"].Schema("application/json")
	if err != nil || !strings.Contains(string(doc), "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale") {
		t.Errorf("apps/v1 lacks the scale of deployments: %v", err)
	}
	definitions := apiextensionsclient.NewForConfigOrDie(e.rest).ApiextensionsV1().CustomResourceDefinitions()
	if _, err := definitions.Create(e.ctx, widgets(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.awaitEstablished(t, "widgets.example.com")
	// Documents follow the definitions with a delay that nothing announces.
	err = wait.PollUntilContextTimeout(e.ctx, 20*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
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
		_, custom := swagger.Definitions["com.example.v1.Widget"]
		_, builtIn := swagger.Definitions["io.k8s.api.core.v1.Pod"]
		paths, err := e.kube.Discovery().OpenAPIV3().Paths()
		return custom && builtIn && paths["apis/example.com/v1"] != nil, err
	})
	if err != nil {
		t.Error("documents of the custom resource:", err)
	}
}
