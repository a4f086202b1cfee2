package registry

import (
	"context"
	"errors"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/store"
)

// REST serves one kind.
type REST struct {
	*genericregistry.Store
	row      *apis.Resource
	strategy strategy
	// encoded is Store for answers that are only encoded: it reads stored bytes.
	encoded *genericregistry.Store
}

func (r *Registry) newREST(row *apis.Resource) (*REST, error) {
	st := newStrategy(r.scheme, row)
	gr := row.GVR().GroupResource()
	s := &REST{row: row, strategy: st, Store: &genericregistry.Store{
		NewFunc:                   row.New,
		NewListFunc:               row.NewList,
		DefaultQualifiedResource:  gr,
		SingularQualifiedResource: schema.GroupResource{Group: gr.Group, Resource: row.Singular},
		CreateStrategy:            st,
		UpdateStrategy:            st,
		DeleteStrategy:            st,
		ResetFieldsStrategy:       st,
		TableConvertor:            newTableConvertor(row),
		ReturnDeletedObject:       row.ReturnsDeleted,
	}}
	options := &generic.StoreOptions{
		RESTOptions: r.backend.options(gr, row.GVK.GroupVersion(), r.scheme),
		AttrFunc:    attributes(row),
	}
	s.index(options)
	if err := s.CompleteWithOptions(options); err != nil {
		return nil, err
	}
	if gr.Resource == "events" {
		s.EnableGarbageCollection = false
		s.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return uint64(eventTTL.Seconds()), nil }
	}
	encoded := *s.Store
	encoded.NewFunc = func() runtime.Object { return &store.EncodedObject{} }
	encoded.NewListFunc = func() runtime.Object { return &store.EncodedList{} }
	s.encoded = &encoded
	return s, nil
}

// Get implements rest.Getter.
func (s *REST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	if store.SharesEncodings(ctx) {
		return s.encoded.Get(ctx, name, options)
	}
	return s.Store.Get(ctx, name, options)
}

// List implements rest.Lister.
func (s *REST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	if store.SharesEncodings(ctx) {
		return s.encoded.List(ctx, options)
	}
	return s.Store.List(ctx, options)
}

// Update implements rest.Updater.
func (s *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, validateCreate rest.ValidateObjectFunc,
	validateUpdate rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	GrowStack()
	return s.Store.Update(ctx, name, info, validateCreate, validateUpdate, forceAllowCreate, options)
}

// Delete implements rest.GracefulDeleter.
func (s *REST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	GrowStack()
	return s.Store.Delete(ctx, name, validate, options)
}

// ShortNames implements rest.ShortNamesProvider.
func (s *REST) ShortNames() []string { return s.row.ShortNames }

// Categories implements rest.CategoriesProvider.
func (s *REST) Categories() []string { return s.row.Categories }

// ListShared lists without copying: the objects are those of the store's index
// and must never be changed. An empty namespace selects all.
func (s *REST) ListShared(ctx context.Context, namespace string) ([]runtime.Object, string, error) {
	key := keyPrefix(s.DefaultQualifiedResource)
	if s.row.Namespaced && namespace != "" {
		key += "/" + namespace
	}
	list := &store.ObjectList{}
	err := s.Storage.GetList(ctx, key, storage.ListOptions{
		Recursive: true, Predicate: s.PredicateFunc(labels.Everything(), fields.Everything()),
	}, list)
	return list.Items, list.ResourceVersion, err
}

// WatchShared watches all namespaces after a revision; events carry the objects of
// the store's index, which must never be changed.
func (s *REST) WatchShared(ctx context.Context, opts *metainternalversion.ListOptions) (watch.Interface, error) {
	return s.Watch(store.WithSharedObjects(ctx), opts)
}

// ForHTTP marks the context of a get, list or watch whose objects are only encoded:
// stored bytes are written where that is possible, and all watches encode an event
// once. What is read is then a runtime.CacheableObject, not the kind's type.
func ForHTTP(ctx context.Context) context.Context { return store.WithSharedEncodings(ctx) }

// attributes returns what label and field selectors of a kind see.
func attributes(row *apis.Resource) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		m, ok := obj.(metav1.Object)
		if !ok {
			return nil, nil, errors.New("object has no metadata")
		}
		selectable := fields.Set{}
		if row.Fields != nil {
			if set := row.Fields(obj); set != nil {
				selectable = set
			}
		}
		selectable["metadata.name"] = m.GetName()
		if row.Namespaced {
			selectable["metadata.namespace"] = m.GetNamespace()
		}
		return m.GetLabels(), selectable, nil
	}
}

// indexed are the fields a watch may demand one value of, to be woken only for it.
var indexed = map[schema.GroupResource]string{
	{Resource: "pods"}:       "spec.nodeName",
	{Resource: "nodes"}:      "metadata.name",
	{Resource: "secrets"}:    "metadata.name",
	{Resource: "configmaps"}: "metadata.name",
}

// index lets watches of one value of a field sleep through the others' events.
func (s *REST) index(options *generic.StoreOptions) {
	field, ok := indexed[s.DefaultQualifiedResource]
	if !ok {
		return
	}
	attrs := options.AttrFunc
	options.TriggerFunc = storage.IndexerFuncs{storage.FieldIndex(field): func(obj runtime.Object) string {
		_, set, err := attrs(obj)
		if err != nil {
			return ""
		}
		return set[field]
	}}
	s.PredicateFunc = func(label labels.Selector, selector fields.Selector) storage.SelectionPredicate {
		return storage.SelectionPredicate{Label: label, Field: selector, GetAttrs: attrs, IndexFields: []string{field}}
	}
}
