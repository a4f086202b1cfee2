package fakenode

import (
	"context"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// Clientset makes a Writer of a client, for the three kinds a fleet writes.
func Clientset(c kubernetes.Interface) Writer { return clientset{c} }

type clientset struct{ c kubernetes.Interface }

func (w clientset) Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error) {
	switch o := obj.(type) {
	case *corev1.Node:
		return w.c.CoreV1().Nodes().Create(ctx, o, opts)
	case *coordinationv1.Lease:
		return w.c.CoordinationV1().Leases(o.Namespace).Create(ctx, o, opts)
	}
	return nil, fmt.Errorf("fake nodes do not create %T", obj)
}

func (w clientset) UpdateFunc(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, change func(runtime.Object) error) (runtime.Object, error) {
	var out runtime.Object
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var err error
		out, err = w.updateOnce(ctx, gvr, namespace, name, change)
		return err
	})
	return out, err
}

func (w clientset) updateOnce(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, change func(runtime.Object) error) (runtime.Object, error) {
	switch gvr {
	case podsResource:
		p, err := w.c.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if err := change(p); err != nil {
			return nil, err
		}
		return w.c.CoreV1().Pods(namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	case leasesResource:
		l, err := w.c.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if err := change(l); err != nil {
			return nil, err
		}
		return w.c.CoordinationV1().Leases(namespace).Update(ctx, l, metav1.UpdateOptions{})
	}
	return nil, fmt.Errorf("fake nodes do not update %s", gvr)
}

func (w clientset) Delete(ctx context.Context, _ schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error {
	return w.c.CoreV1().Pods(namespace).Delete(ctx, name, opts)
}
