package served

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Types returns the schema that managed fields need of the kinds in Table.
var Types = sync.OnceValue(func() managedfields.TypeConverter { return newLazyTypes() })

// lazyTypes is built at the first use: most of a server's first second passes
// without a schema. It is client-go's, which knows the kinds that are stored; those
// that are not (bindings, reviews, scales) are taken as they come.
type lazyTypes struct {
	schema  func() managedfields.TypeConverter
	deduced managedfields.TypeConverter
	stored  map[schema.GroupVersionKind]func() (*kindType, error)
}

// kindType is the type of one kind in the schema.
type kindType struct {
	schema *smdschema.Schema
	ref    smdschema.TypeRef
}

func newLazyTypes() *lazyTypes {
	l := &lazyTypes{
		schema:  sync.OnceValue(func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(Scheme()) }),
		deduced: managedfields.NewDeducedTypeConverter(),
		stored:  map[schema.GroupVersionKind]func() (*kindType, error){},
	}
	for _, row := range Table() {
		for _, gvk := range append([]schema.GroupVersionKind{row.GVK}, row.OtherVersions...) {
			l.stored[gvk] = sync.OnceValues(func() (*kindType, error) { return l.typeOf(gvk) })
		}
	}
	return l
}

// typeOf learns the type of a kind from the conversion of an empty object.
func (l *lazyTypes) typeOf(gvk schema.GroupVersionKind) (*kindType, error) {
	obj, err := Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	empty, err := l.schema().ObjectToTyped(obj, typed.AllowDuplicates)
	if err != nil {
		return nil, err
	}
	return &kindType{empty.Schema(), empty.TypeRef()}, nil
}

// ObjectToTyped implements managedfields.TypeConverter. An object of a Go type that
// may have duplicates, as all writes but apply allow, has nothing left that could be
// invalid: the schema was made of the Go types.
func (l *lazyTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	kind := l.stored[obj.GetObjectKind().GroupVersionKind()]
	if kind == nil {
		return l.deduced.ObjectToTyped(obj, opts...)
	}
	if _, ok := obj.(*unstructured.Unstructured); !ok && slices.Contains(opts, typed.AllowDuplicates) {
		if known, err := kind(); err == nil {
			v, err := value.NewValueReflect(obj)
			if err != nil {
				return nil, err
			}
			return typed.AsTypedUnvalidated(v, known.schema, known.ref), nil
		}
	}
	return l.schema().ObjectToTyped(obj, opts...)
}

// TypedToObject implements managedfields.TypeConverter; the value alone decides.
func (l *lazyTypes) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	return l.deduced.TypedToObject(value)
}
