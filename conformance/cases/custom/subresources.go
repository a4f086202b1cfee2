package custom

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed subresources.yaml
var subresourcesYAML string

var choirs = schema.GroupVersionResource{Group: "parts.conformance.example", Version: "v1", Resource: "choirs"}

func subresources() suite.Case {
	return suite.Case{
		Name:     "custom/subresources",
		Promise:  "status and spec are written apart, generation counts specs, and scale works for kubectl and for the client that autoscalers use",
		Manifest: subresourcesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, subresourcesYAML)
			defer remove()
			if err != nil {
				return err
			}
			api := e.Dynamic.Resource(choirs).Namespace(e.Namespace)
			if err := statusApart(ctx, api); err != nil {
				return err
			}
			return scaled(ctx, e, api)
		},
	}
}

func statusApart(ctx context.Context, api dynamic.ResourceInterface) error {
	obj, err := object("apiVersion: parts.conformance.example/v1\nkind: Choir\nmetadata: {name: c}\nspec: {singers: 2}\nstatus: {singing: 9}")
	if err != nil {
		return err
	}
	made, err := api.Create(ctx, obj, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if made.GetGeneration() != 1 || field(made, "status") != nil {
		return fmt.Errorf("created with generation %d and status %v, want 1 and none", made.GetGeneration(), field(made, "status"))
	}
	status := made.DeepCopy()
	for _, set := range []struct {
		value any
		path  []string
	}{
		{int64(7), []string{"spec", "singers"}}, {int64(2), []string{"status", "singing"}}, {"part=choir", []string{"status", "selector"}},
		{map[string]any{"l": "m"}, []string{"metadata", "labels"}},
	} {
		if err := unstructured.SetNestedField(status.Object, set.value, set.path...); err != nil {
			return err
		}
	}
	got, err := api.UpdateStatus(ctx, status, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if field(got, "spec", "singers") != int64(2) || field(got, "status", "singing") != int64(2) || got.GetGeneration() != 1 || len(got.GetLabels()) > 0 {
		return fmt.Errorf("after a status update that also names spec and labels: %v, generation %d, labels %v", got.Object, got.GetGeneration(), got.GetLabels())
	}
	if err := unstructured.SetNestedField(got.Object, "carol", "spec", "song"); err != nil {
		return err
	}
	unstructured.RemoveNestedField(got.Object, "status")
	got, err = api.Update(ctx, got, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if got.GetGeneration() != 2 || field(got, "status", "singing") != int64(2) {
		return fmt.Errorf("after an update without status: generation %d, status %v", got.GetGeneration(), field(got, "status"))
	}
	return nil
}

func scaled(ctx context.Context, e *suite.Env, api dynamic.ResourceInterface) error {
	if _, err := e.Kubectl(ctx, "scale", "choirs.parts.conformance.example/c", "--replicas=5", "--current-replicas=2"); err != nil {
		return err
	}
	cached := memory.NewMemCacheClient(e.Kube.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	client, err := scale.NewForConfig(e.REST, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(e.Kube.Discovery()))
	if err != nil {
		return err
	}
	have, err := client.Scales(e.Namespace).Get(ctx, choirs.GroupResource(), "c", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if have.Spec.Replicas != 5 || have.Status.Replicas != 2 || have.Status.Selector != "part=choir" {
		return fmt.Errorf("scale is %+v %+v, want 5, 2 and part=choir", have.Spec, have.Status)
	}
	have.Spec.Replicas = 8
	if _, err := client.Scales(e.Namespace).Update(ctx, choirs.GroupResource(), have, metav1.UpdateOptions{}); err != nil {
		return err
	}
	obj, err := api.Get(ctx, "c", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if field(obj, "spec", "singers") != int64(8) || obj.GetGeneration() != 4 {
		return fmt.Errorf("after two scalings: %v, generation %d, want 8 and 4", field(obj, "spec"), obj.GetGeneration())
	}
	_, err = e.Kubectl(ctx, "scale", "choirs.parts.conformance.example/c", "--replicas=12")
	if err == nil || !strings.Contains(err.Error(), "spec.singers in body should be less than or equal to 9") {
		return fmt.Errorf("scaling beyond the schema: %v", err)
	}
	return nil
}
