package client

import (
	"context"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Get reads the current object, which is shared and must not be changed.
func (c *Client) Get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error) {
	s, err := storage[rest.Getter](c.shared, gvr, "", "get")
	if err != nil {
		return nil, err
	}
	return s.Get(c.scope(ctx, namespace), name, &metav1.GetOptions{})
}

// ListOptions selects what a List or Watch returns. The zero value selects
// everything at the current revision.
type ListOptions struct {
	Labels          labels.Selector
	Fields          fields.Selector
	ResourceVersion string
}

func (o ListOptions) internal() *metainternalversion.ListOptions {
	return &metainternalversion.ListOptions{
		LabelSelector:   o.Labels,
		FieldSelector:   o.Fields,
		ResourceVersion: o.ResourceVersion,
	}
}

// List reads a namespace, or all of them if it is empty. The result is the list
// type of the kind; its items are shared.
func (c *Client) List(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts ListOptions) (runtime.Object, error) {
	s, err := storage[rest.Lister](c.shared, gvr, "", "list")
	if err != nil {
		return nil, err
	}
	return s.List(c.scope(ctx, namespace), opts.internal())
}

// Watch streams changes after opts.ResourceVersion; event objects are shared.
func (c *Client) Watch(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts ListOptions) (watch.Interface, error) {
	s, err := storage[rest.Watcher](c.shared, gvr, "", "watch")
	if err != nil {
		return nil, err
	}
	internal := opts.internal()
	internal.AllowWatchBookmarks = true
	return s.Watch(c.scope(ctx, namespace), internal)
}
