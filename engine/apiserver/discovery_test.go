package apiserver_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
)

func TestDiscoveryPlainAndAggregatedAgree(t *testing.T) {
	e := start(t)
	aggregatedGroups, aggregated, err := e.kube.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	plainClient := discovery.NewDiscoveryClientForConfigOrDie(e.rest)
	plainClient.UseLegacyDiscovery = true
	plainGroups, plain, err := plainClient.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	names := func(groups []*metav1.APIGroup) []string {
		var out []string
		for _, g := range groups {
			out = append(out, g.Name+" "+g.PreferredVersion.Version)
		}
		slices.Sort(out)
		return out
	}
	if a, b := names(aggregatedGroups), names(plainGroups); !slices.Equal(a, b) {
		t.Errorf("groups differ:\naggregated %v\nplain      %v", a, b)
	}
	resources := func(lists []*metav1.APIResourceList) map[string]string {
		out := map[string]string{}
		for _, l := range lists {
			for _, r := range l.APIResources {
				out[l.GroupVersion+" "+r.Name] = strings.Join(r.Verbs, ",")
			}
		}
		return out
	}
	a, b := resources(aggregated), resources(plain)
	for name, verbs := range b {
		if a[name] != verbs {
			t.Errorf("%s: plain %q, aggregated %q", name, verbs, a[name])
		}
	}
	for _, want := range []string{
		"v1 pods", "v1 pods/exec", "v1 pods/log", "v1 pods/eviction", "v1 pods/binding", "v1 pods/ephemeralcontainers", "v1 pods/resize",
		"v1 namespaces/finalize", "v1 serviceaccounts/token", "v1 nodes/proxy", "v1 services/proxy", "v1 bindings", "v1 componentstatuses",
		"apps/v1 deployments/scale", "apps/v1 replicasets/scale", "apps/v1 statefulsets/scale", "v1 replicationcontrollers/scale",
		"events.k8s.io/v1 events", "autoscaling/v1 horizontalpodautoscalers", "autoscaling/v2 horizontalpodautoscalers/status",
		"certificates.k8s.io/v1 certificatesigningrequests/approval", "authorization.k8s.io/v1 selfsubjectaccessreviews",
		"authentication.k8s.io/v1 tokenreviews", "apiextensions.k8s.io/v1 customresourcedefinitions/status",
	} {
		if _, ok := a[want]; !ok {
			t.Errorf("%s is not served", want)
		}
	}
	raw, err := e.kube.Discovery().RESTClient().Get().AbsPath("/api").SetHeader("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").DoRaw(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var list apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(raw, &list); err != nil || list.Kind != "APIGroupDiscoveryList" || len(list.Items) != 1 {
		t.Errorf("aggregated /api: %s %v", raw[:min(len(raw), 200)], err)
	}
}

func widgets() *apiextensionsv1.CustomResourceDefinition {
	preserve := true
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList", ShortNames: []string{"wd"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer"}}},
						"status": {Type: "object", XPreserveUnknownFields: &preserve},
					},
				}},
			}},
		},
	}
}

// awaitEstablished watches a definition until it is served.
func (e *environment) awaitEstablished(t *testing.T, name string) {
	t.Helper()
	c := apiextensionsclient.NewForConfigOrDie(e.rest).ApiextensionsV1().CustomResourceDefinitions()
	w, err := c.Watch(e.ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for {
		d, ok := next(t, w).Object.(*apiextensionsv1.CustomResourceDefinition)
		if !ok {
			continue
		}
		for _, c := range d.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return
			}
		}
	}
}

func TestCustomResources(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	definitions := apiextensionsclient.NewForConfigOrDie(e.rest).ApiextensionsV1().CustomResourceDefinitions()
	if _, err := definitions.Create(e.ctx, widgets(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.awaitEstablished(t, "widgets.example.com")
	client := dynamic.NewForConfigOrDie(e.rest).Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace(ns)
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"},
		"spec": map[string]any{"size": int64(1)},
	}}
	created, err := client.Create(e.ctx, widget, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if created.GetGeneration() != 1 {
		t.Errorf("generation %d", created.GetGeneration())
	}
	w, err := client.Watch(e.ctx, metav1.ListOptions{ResourceVersion: created.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	patched, err := client.Patch(e.ctx, "w", types.MergePatchType, []byte(`{"spec":{"size":2}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if size, _, _ := unstructured.NestedInt64(patched.Object, "spec", "size"); size != 2 {
		t.Errorf("size %d", size)
	}
	if event := next(t, w); event.Object.(*unstructured.Unstructured).GetGeneration() != 2 {
		t.Errorf("event %v", event)
	}
	if _, err := client.Patch(e.ctx, "w", types.MergePatchType, []byte(`{"spec":{"size":"big"}}`), metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("wrong type: %v", err)
	}
	apply := []byte(`{"apiVersion":"example.com/v1","kind":"Widget","spec":{"size":3}}`)
	if _, err := client.Patch(e.ctx, "w", types.ApplyPatchType, apply, metav1.PatchOptions{FieldManager: "other"}); !apierrors.IsConflict(err) {
		t.Errorf("apply of an owned field: %v", err)
	}
	list, err := client.List(e.ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("list: %v %v", list, err)
	}
	groups, err := discovery.NewDiscoveryClientForConfigOrDie(e.rest).ServerGroups()
	if err != nil || !slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == "example.com" }) {
		t.Errorf("group is not in discovery: %v", err)
	}
	if err := definitions.Delete(e.ctx, "widgets.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for next(t, w).Type != "DELETED" {
		continue // the finalizer removes the objects first
	}
}
