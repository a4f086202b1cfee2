package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/store"
)

// Fenced lets what is written with the returned context through only while holds is
// true of a namespaced object, which is nil if there is none. The check and the commit
// are one step. Other writes, and reads, are not concerned.
func (r *Registry) Fenced(ctx context.Context, gr schema.GroupResource, namespace, name string, holds func(obj runtime.Object) bool) context.Context {
	return store.WithFence(ctx, store.Fence{Key: keyPrefix(gr) + "/" + namespace + "/" + name, Holds: holds})
}
