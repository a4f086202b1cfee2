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

func finalizer() suite.Case {
	return suite.Case{
		Name:    "api/finalizer",
		Promise: "an object with a finalizer outlives its deletion until the finalizer is gone, and takes no new one",
		Run: func(ctx context.Context, e *suite.Env) error {
			api := e.Kube.CoreV1().ConfigMaps(e.Namespace)
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}
			if _, err := api.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
				return err
			}
			if err := api.Delete(ctx, "held", metav1.DeleteOptions{}); err != nil {
				return err
			}
			held, err := api.Get(ctx, "held", metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("after the deletion: %w", err)
			}
			if held.DeletionTimestamp == nil {
				return fmt.Errorf("deletionTimestamp is not set")
			}
			more := []byte(`{"metadata":{"finalizers":["example.com/hold","example.com/late"]}}`)
			if _, err := api.Patch(ctx, "held", types.MergePatchType, more, metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
				return fmt.Errorf("a finalizer added during deletion gave %v, want invalid", err)
			}
			if _, err := api.Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
				return err
			}
			if _, err := api.Get(ctx, "held", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("after the finalizer went: %v, want not found", err)
			}
			return nil
		},
	}
}
