package client

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// Get reads one object by its Go type: client.Get[*corev1.Pod](ctx, c, ns, name).
func Get[T runtime.Object](ctx context.Context, c *Client, namespace, name string) (T, error) {
	row, err := rowFor[T](c)
	if err != nil {
		var none T
		return none, err
	}
	obj, err := c.Get(ctx, row.GVR(), namespace, name)
	return typedResult[T](obj, err)
}

// List reads the objects of one Go type; they are shared.
func List[T runtime.Object](ctx context.Context, c *Client, namespace string, opts ListOptions) ([]T, error) {
	row, err := rowFor[T](c)
	if err != nil {
		return nil, err
	}
	list, err := c.List(ctx, row.GVR(), namespace, opts)
	if err != nil {
		return nil, err
	}
	var items []T
	err = meta.EachListItem(list, func(o runtime.Object) error {
		items = append(items, o.(T))
		return nil
	})
	return items, err
}

// Create writes a new object; obj belongs to the client afterwards.
func Create[T runtime.Object](ctx context.Context, c *Client, obj T) (T, error) {
	out, err := c.Create(ctx, obj, metav1.CreateOptions{})
	return typedResult[T](out, err)
}

// Update replaces an object; a resourceVersion in it is a precondition.
func Update[T runtime.Object](ctx context.Context, c *Client, obj T) (T, error) {
	out, err := c.Update(ctx, obj, metav1.UpdateOptions{})
	return typedResult[T](out, err)
}

// UpdateStatus replaces the status of an object.
func UpdateStatus[T runtime.Object](ctx context.Context, c *Client, obj T) (T, error) {
	out, err := c.UpdateStatus(ctx, obj, metav1.UpdateOptions{})
	return typedResult[T](out, err)
}

// UpdateFunc changes the current object; see Client.UpdateFunc.
func UpdateFunc[T runtime.Object](ctx context.Context, c *Client, namespace, name string, change func(obj T) error) (T, error) {
	return updateFunc(ctx, c, namespace, name, "", change)
}

// UpdateStatusFunc changes the status of the current object.
func UpdateStatusFunc[T runtime.Object](ctx context.Context, c *Client, namespace, name string, change func(obj T) error) (T, error) {
	return updateFunc(ctx, c, namespace, name, "status", change)
}

func updateFunc[T runtime.Object](ctx context.Context, c *Client, namespace, name, subresource string, change func(obj T) error) (T, error) {
	row, err := rowFor[T](c)
	if err != nil {
		var none T
		return none, err
	}
	out, err := c.UpdateFunc(ctx, row.GVR(), namespace, name, subresource, func(o runtime.Object) error { return change(o.(T)) })
	return typedResult[T](out, err)
}

// Delete deletes one object by its Go type.
func Delete[T runtime.Object](ctx context.Context, c *Client, namespace, name string, opts metav1.DeleteOptions) error {
	row, err := rowFor[T](c)
	if err != nil {
		return err
	}
	return c.Delete(ctx, row.GVR(), namespace, name, opts)
}

// Bind assigns a pod to a node: metadata of the binding names the pod, a UID in
// it is a precondition.
func (c *Client) Bind(ctx context.Context, binding *corev1.Binding) error {
	_, err := c.CreateSubresource(ctx, Pods, binding.Namespace, binding.Name, "binding", binding, metav1.CreateOptions{})
	return err
}

// Pods is the resource of pods.
var Pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

func rowFor[T runtime.Object](c *Client) (*apis.Resource, error) {
	var zero T
	return c.rowOf(zero)
}

func typedResult[T runtime.Object](obj runtime.Object, err error) (T, error) {
	typed, _ := obj.(T)
	return typed, err
}
