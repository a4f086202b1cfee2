package api

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/conformance/suite"
)

func patches() suite.Case {
	return suite.Case{
		Name:    "api/patches",
		Promise: "JSON, merge and strategic merge patches change what they say, and a stale update conflicts",
		Run: func(ctx context.Context, e *suite.Env) error {
			api := e.Kube.CoreV1().Services(e.Namespace)
			old, err := api.Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"a": "1"}},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}, Selector: map[string]string{"app": "web"}},
			}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			for _, p := range []struct {
				kind types.PatchType
				body string
			}{
				{types.JSONPatchType, `[{"op":"test","path":"/metadata/labels/a","value":"1"},{"op":"replace","path":"/metadata/labels/a","value":"2"}]`},
				{types.MergePatchType, `{"metadata":{"labels":{"b":"3"}}}`},
				{types.StrategicMergePatchType, `{"spec":{"ports":[{"name":"https","port":443}]}}`},
			} {
				if _, err := api.Patch(ctx, "web", p.kind, []byte(p.body), metav1.PatchOptions{}); err != nil {
					return fmt.Errorf("%s: %w", p.kind, err)
				}
			}
			now, err := api.Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if now.Labels["a"] != "2" || now.Labels["b"] != "3" || len(now.Spec.Ports) != 2 {
				return fmt.Errorf("after the patches: labels %v, ports %v", now.Labels, now.Spec.Ports)
			}
			old.Labels["a"] = "stale"
			if _, err := api.Update(ctx, old, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				return fmt.Errorf("a stale update gave %v, want a conflict", err)
			}
			return nil
		},
	}
}
