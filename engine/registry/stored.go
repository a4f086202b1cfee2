package registry

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
)

// StoredCustomResources lists custom resources as they are stored, in the version
// they are stored in: for those who need them before anything is served.
func (r *Registry) StoredCustomResources(ctx context.Context, gr schema.GroupResource) ([]*unstructured.Unstructured, error) {
	opts, err := r.CustomResources().GetRESTOptions(gr, nil)
	if err != nil {
		return nil, err
	}
	newObject := func() runtime.Object { return &unstructured.Unstructured{} }
	newList := func() runtime.Object { return &unstructured.UnstructuredList{} }
	resource, stop, err := opts.Decorator(opts.StorageConfig, opts.ResourcePrefix, nil, newObject, newList, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	defer stop()
	list := &unstructured.UnstructuredList{}
	err = resource.GetList(ctx, opts.ResourcePrefix, storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", gr, err)
	}
	out := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		out[i] = &list.Items[i]
	}
	return out, nil
}
