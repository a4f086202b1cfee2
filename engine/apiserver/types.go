package apiserver

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/pintle-io/pintle/engine/registry"
)

// lazyTypes is the schema that managed fields need, built at the first use: most of
// a server's first second passes without one. It is client-go's, which knows the
// kinds that are stored; those that are not (bindings, reviews, scales) are taken
// as they come.
type lazyTypes struct {
	schema  func() managedfields.TypeConverter
	deduced managedfields.TypeConverter
	stored  map[schema.GroupVersionKind]bool
}

func newLazyTypes(r *registry.Registry) *lazyTypes {
	l := &lazyTypes{
		schema: sync.OnceValue(func() managedfields.TypeConverter {
			return applyconfigurations.NewTypeConverter(r.Scheme())
		}),
		deduced: managedfields.NewDeducedTypeConverter(),
		stored:  map[schema.GroupVersionKind]bool{},
	}
	for _, row := range r.Table() {
		l.stored[row.GVK] = true
		for _, gvk := range row.OtherVersions {
			l.stored[gvk] = true
		}
	}
	return l
}

// ObjectToTyped implements managedfields.TypeConverter.
func (l *lazyTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if l.stored[obj.GetObjectKind().GroupVersionKind()] {
		return l.schema().ObjectToTyped(obj, opts...)
	}
	return l.deduced.ObjectToTyped(obj, opts...)
}

// TypedToObject implements managedfields.TypeConverter; the value alone decides.
func (l *lazyTypes) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	return l.deduced.TypedToObject(value)
}
