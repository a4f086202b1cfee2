// Package custom holds the cases about custom resources: what a definition promises
// to those who use what it defines.
package custom

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{
		schemas(), rules(), subresources(), columns(), versions(), apply(), names(), removal(), documents(), many(),
	}
}

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// define creates the definitions in a manifest and waits until they are established.
// The caller calls remove at the end.
func define(ctx context.Context, e *suite.Env, manifest string) (remove func(), err error) {
	var names []string
	remove = func() {
		for _, name := range names {
			_ = e.Dynamic.Resource(definitions).Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
		}
	}
	for _, doc := range strings.Split(manifest, "\n---\n") {
		crd, err := object(doc)
		if err != nil {
			return remove, err
		}
		if _, err := e.Dynamic.Resource(definitions).Create(ctx, crd, metav1.CreateOptions{}); err != nil {
			return remove, err
		}
		names = append(names, crd.GetName())
	}
	for _, name := range names {
		if err := awaitCondition(ctx, e, name, "Established", "True"); err != nil {
			return remove, err
		}
	}
	return remove, nil
}

// awaitCondition waits for a condition of a definition.
func awaitCondition(ctx context.Context, e *suite.Env, name, kind, status string) error {
	return e.Eventually(ctx, 20*time.Second, name+" to be "+kind+" "+status, func(ctx context.Context) (bool, string, error) {
		crd, err := e.Dynamic.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == kind && m["status"] == status {
				return true, "", nil
			}
		}
		return false, fmt.Sprint(conditions), err
	})
}

// change edits a definition, trying again after conflicts.
func change(ctx context.Context, e *suite.Env, name string, edit func(crd *unstructured.Unstructured) error) error {
	for {
		crd, err := e.Dynamic.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := edit(crd); err != nil {
			return err
		}
		if _, err = e.Dynamic.Resource(definitions).Update(ctx, crd, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// object decodes one YAML document.
func object(text string) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, text)
	}
	return obj, nil
}

// field reads a value; what is not there is nil.
func field(obj *unstructured.Unstructured, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	return value
}

// wantError compares an error's text.
func wantError(what string, err error, want string) error {
	if err == nil {
		return fmt.Errorf("%s: no error, want %s", what, want)
	}
	if err.Error() != want {
		return fmt.Errorf("%s:\n got %v\nwant %s", what, err, want)
	}
	return nil
}
