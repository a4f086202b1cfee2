// Package definition brings CustomResourceDefinitions into a cluster and up to date,
// through the API. It removes none, and knows nothing of what they define. Its
// functions are safe for concurrent use.
package definition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// Resource of definitions.
var Resource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// ErrNotServed asks for another try: the definition is written but its kind is not
// served yet.
var ErrNotServed = errors.New("not served yet")

// retry is how soon Serve tries again.
const retry = 100 * time.Millisecond

// Serve defines kinds, one after the other, and waits until they are served or ctx
// ends.
func Serve(ctx context.Context, client dynamic.Interface, logger *slog.Logger, crds ...*unstructured.Unstructured) error {
	for _, crd := range crds {
		for {
			err := Define(ctx, client, crd)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrNotServed) {
				logger.Debug("a kind cannot be defined yet", "name", crd.GetName(), "err", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(retry):
			}
		}
	}
	return nil
}

// Define creates or updates a definition; the error is ErrNotServed if it is written
// but not yet established.
func Define(ctx context.Context, client dynamic.Interface, crd *unstructured.Unstructured) error {
	resource := client.Resource(Resource)
	have, err := resource.Get(ctx, crd.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		have, err = resource.Create(ctx, crd, metav1.CreateOptions{})
	case err == nil && !Covers(have.Object["spec"], crd.Object["spec"]):
		next := have.DeepCopy()
		next.Object["spec"] = crd.Object["spec"]
		have, err = resource.Update(ctx, next, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("define %s: %w", crd.GetName(), err)
	}
	if !established(have) {
		return fmt.Errorf("define %s: %w", crd.GetName(), ErrNotServed)
	}
	return nil
}

// Covers reports whether have says everything that want says; the API adds
// defaults of its own.
func Covers(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range want {
			if !Covers(h[k], v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return false
		}
		for i := range want {
			if !Covers(h[i], want[i]) {
				return false
			}
		}
		return true
	}
	return fmt.Sprint(have) == fmt.Sprint(want)
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == "Established" && condition["status"] == "True" {
			return true
		}
	}
	return false
}
