package custom

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pintle-io/pintle/conformance/suite"
)

// plain is a definition without anything special: group and singular name vary.
func plain(group, singular, kind string) string {
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[2]ss.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[2]ss, singular: %[2]s, shortNames: [%[2]sx]}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, description: A %[2]s., x-kubernetes-preserve-unknown-fields: true}}
`, group, singular, kind)
}

func names() suite.Case {
	return suite.Case{
		Name:    "custom/names",
		Promise: "a definition whose names are taken is not served until they are free, and one is discovered the moment it is established",
		Run: func(ctx context.Context, e *suite.Env) error {
			const group = "names.conformance.example"
			removeFirst, err := define(ctx, e, plain(group, "key", "Key"))
			defer removeFirst()
			if err != nil {
				return err
			}
			list, err := e.Kube.Discovery().ServerResourcesForGroupVersion(group + "/v1")
			if err != nil || len(list.APIResources) != 1 || list.APIResources[0].Kind != "Key" {
				return fmt.Errorf("discovery of what is established: %v, %w", list, err)
			}
			second, err := object(plain(group, "lock", "Key"))
			if err != nil {
				return err
			}
			if _, err := e.Dynamic.Resource(definitions).Create(ctx, second, metav1.CreateOptions{}); err != nil {
				return err
			}
			defer func() {
				_ = e.Dynamic.Resource(definitions).Delete(context.WithoutCancel(ctx), "locks."+group, metav1.DeleteOptions{})
			}()
			if err := awaitCondition(ctx, e, "locks."+group, "NamesAccepted", "False"); err != nil {
				return err
			}
			if err := awaitCondition(ctx, e, "locks."+group, "Established", "False"); err != nil {
				return err
			}
			if err := saysWhy(ctx, e, "locks."+group); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "get", "locks."+group); err == nil || !strings.Contains(err.Error(), "the server doesn't have a resource type") {
				return fmt.Errorf("what is not established is served: %v", err)
			}
			removeFirst()
			return awaitCondition(ctx, e, "locks."+group, "Established", "True")
		},
	}
}

func saysWhy(ctx context.Context, e *suite.Env, name string) error {
	return e.Eventually(ctx, 10*time.Second, "the reasons", func(ctx context.Context) (bool, string, error) {
		crd, err := e.Dynamic.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
		var got []string
		for _, c := range conditions {
			m := c.(map[string]any)
			got = append(got, fmt.Sprintf("%v %v: %v", m["type"], m["reason"], m["message"]))
		}
		text := strings.Join(got, "; ")
		return text == `NamesAccepted ListKindConflict: "KeyList" is already in use; Established NotAccepted: not all names are accepted`, text, err
	})
}
