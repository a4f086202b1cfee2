package custom

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/conformance/suite"
)

func removal() suite.Case {
	return suite.Case{
		Name:    "custom/removal",
		Promise: "a definition goes after its instances and lets no more in, and a namespace takes its custom resources along",
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, plain("removal.conformance.example", "tent", "Tent"))
			defer remove()
			if err != nil {
				return err
			}
			if err := withNamespace(ctx, e); err != nil {
				return err
			}
			return withDefinition(ctx, e)
		},
	}
}

var tents = schema.GroupVersionResource{Group: "removal.conformance.example", Version: "v1", Resource: "tents"}

func tent(name string, finalizers ...string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "removal.conformance.example/v1", "kind": "Tent"}}
	obj.SetName(name)
	obj.SetFinalizers(finalizers)
	return obj
}

func withNamespace(ctx context.Context, e *suite.Env) error {
	ns, err := e.Kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tents-"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for _, name := range []string{"a", "b"} {
		if _, err := e.Dynamic.Resource(tents).Namespace(ns.Name).Create(ctx, tent(name), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := e.Kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return e.Eventually(ctx, 40*time.Second, "the namespace to go with its tents", func(ctx context.Context) (bool, string, error) {
		left, err := e.Dynamic.Resource(tents).Namespace(ns.Name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		_, err = e.Kube.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err) && len(left.Items) == 0, fmt.Sprintf("%d tents", len(left.Items)), nil
	})
}

func withDefinition(ctx context.Context, e *suite.Env) error {
	api := e.Dynamic.Resource(tents).Namespace(e.Namespace)
	for _, obj := range []*unstructured.Unstructured{tent("free"), tent("held", "conformance.example/hold")} {
		if _, err := api.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	const name = "tents.removal.conformance.example"
	if err := e.Dynamic.Resource(definitions).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	crd, err := e.Dynamic.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !slices.Contains(crd.GetFinalizers(), "customresourcecleanup.apiextensions.k8s.io") {
		return fmt.Errorf("the definition's finalizers are %v", crd.GetFinalizers())
	}
	if err := awaitCondition(ctx, e, name, "Terminating", "True"); err != nil {
		return err
	}
	err = e.Eventually(ctx, 20*time.Second, "the free instance to go", func(ctx context.Context) (bool, string, error) {
		_, err := api.Get(ctx, "free", metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(err), nil
	})
	if err != nil {
		return err
	}
	_, err = api.Create(ctx, tent("late"), metav1.CreateOptions{})
	if err := wantError("a create into a definition that goes", err, `tents.removal.conformance.example "late" is forbidden: create not allowed while custom resource definition is terminating`); err != nil {
		return err
	}
	if _, err := api.Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	return e.Eventually(ctx, 30*time.Second, "the definition and its path to go", func(ctx context.Context) (bool, string, error) {
		_, err := e.Dynamic.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
		_, listErr := api.List(ctx, metav1.ListOptions{})
		_, discoveryErr := e.Kube.Discovery().ServerResourcesForGroupVersion("removal.conformance.example/v1")
		gone := apierrors.IsNotFound(err) && apierrors.IsNotFound(listErr) && apierrors.IsNotFound(discoveryErr)
		return gone, fmt.Sprint(err, "; ", listErr, "; ", discoveryErr), nil
	})
}
