package client

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/applyconfigurations"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
)

// fieldManagers builds, at first use, the field manager of each resource and
// subresource.
type fieldManagers struct {
	scheme    *runtime.Scheme
	converter func() managedfields.TypeConverter

	mu struct {
		sync.Mutex
		byKey map[fieldManagerKey]*fieldManager
	}
}

type fieldManagerKey struct {
	gvk         schema.GroupVersionKind
	subresource string
}

func newFieldManagers(scheme *runtime.Scheme, converter func() managedfields.TypeConverter) *fieldManagers {
	if converter == nil {
		converter = func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(scheme) }
	}
	f := &fieldManagers{scheme: scheme, converter: sync.OnceValue(converter)}
	f.mu.byKey = map[fieldManagerKey]*fieldManager{}
	return f
}

// get returns the field manager for writes of row through s; nil if the kind has
// none (a nil fieldManager leaves managedFields alone).
func (f *fieldManagers) get(row *apis.Resource, s any, subresource string) (*fieldManager, error) {
	key := fieldManagerKey{row.GVK, subresource}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, ok := f.mu.byKey[key]; ok {
		return m, nil
	}
	upstream, err := managedfields.NewDefaultFieldManager(f.converter(), inPlace{f.scheme}, f.scheme, f.scheme,
		row.GVK, row.GVK.GroupVersion(), subresource, resetFields(s))
	if err != nil {
		return nil, fmt.Errorf("managed fields of %s: %w", row.GVK.Kind, err)
	}
	m := &fieldManager{upstream: upstream, gvk: row.GVK, newObject: row.New}
	m.recent.entries = map[string]string{}
	f.mu.byKey[key] = m
	return m, nil
}

// resetFields are the fields a storage resets, which nobody comes to own.
func resetFields(s any) map[fieldpath.APIVersion]fieldpath.Filter {
	switch s := s.(type) {
	case rest.ResetFieldsStrategy:
		return fieldpath.NewExcludeFilterSetMap(s.GetResetFields())
	case rest.ResetFieldsFilterStrategy:
		return s.GetResetFieldsFilter()
	}
	return nil
}

// fieldManager keeps managedFields of one resource or subresource. Creates of
// equal objects (a controller filling up replicas from one template) reuse the
// field set of the first: it depends on nothing but the object's content.
type fieldManager struct {
	upstream  *managedfields.FieldManager
	gvk       schema.GroupVersionKind
	newObject func() runtime.Object

	recent struct {
		sync.Mutex
		entries map[string]string
	}
}

// maxRecent bounds the remembered templates per kind, maxTemplate the size of
// one.
const (
	maxRecent   = 64
	maxTemplate = 16 << 10
)

// created returns obj with the managedFields of a create by manager.
func (f *fieldManager) created(obj runtime.Object, manager string) runtime.Object {
	m, err := meta.Accessor(obj)
	if err != nil {
		return obj
	}
	key, ok := templateKey(obj, m)
	if ok {
		f.recent.Lock()
		raw, hit := f.recent.entries[key]
		f.recent.Unlock()
		if hit {
			m.SetManagedFields(f.entry(manager, raw))
			return obj
		}
	}
	obj = f.upstream.UpdateNoErrors(f.newObject(), obj, manager)
	clearKind(obj)
	if entries := m.GetManagedFields(); ok && len(entries) == 1 && entries[0].FieldsV1 != nil {
		f.remember(key, entries[0].FieldsV1.GetRawString())
	}
	return obj
}

func (f *fieldManager) entry(manager, raw string) []metav1.ManagedFieldsEntry {
	now := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	return []metav1.ManagedFieldsEntry{{
		Manager:    manager,
		Operation:  metav1.ManagedFieldsOperationUpdate,
		APIVersion: f.gvk.GroupVersion().String(),
		Time:       &now,
		FieldsType: "FieldsV1",
		FieldsV1:   metav1.NewFieldsV1(raw),
	}}
}

// remember keeps the field set of a template; when full it forgets an arbitrary one.
func (f *fieldManager) remember(key, raw string) {
	f.recent.Lock()
	defer f.recent.Unlock()
	if len(f.recent.entries) >= maxRecent {
		for old := range f.recent.entries {
			delete(f.recent.entries, old)
			break
		}
	}
	f.recent.entries[key] = raw
}

// updated returns obj with the managedFields of an update by manager of old.
func (f *fieldManager) updated(old, obj runtime.Object, manager string) runtime.Object {
	obj = f.upstream.UpdateNoErrors(old, obj, manager)
	clearKind(obj)
	clearKind(old)
	return obj
}

// templateKey is the object's content without its name, which managedFields
// never mention; false if the object is not a plain new one.
func templateKey(obj runtime.Object, m metav1.Object) (string, bool) {
	p, ok := obj.(interface {
		Size() int
		Marshal() ([]byte, error)
	})
	if !ok || m.GetManagedFields() != nil || p.Size() > maxTemplate {
		return "", false
	}
	name := m.GetName()
	m.SetName("")
	raw, err := p.Marshal()
	m.SetName(name)
	return string(raw), err == nil
}

func clearKind(obj runtime.Object) {
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
}

// inPlace converts to the hub version, in which every object here already is, by
// naming the kind in the object itself. The caller owns both objects of an
// update and clears the kind afterwards. Other versions, which may appear in
// managedFields written over HTTP, are converted by the scheme.
type inPlace struct {
	*runtime.Scheme
}

func (c inPlace) ConvertToVersion(obj runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	kinds, _, err := c.ObjectKinds(obj)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if kind.Version == runtime.APIVersionInternal {
			continue
		}
		if gvk, ok := target.KindForGroupVersionKinds([]schema.GroupVersionKind{kind}); ok && gvk == kind {
			obj.GetObjectKind().SetGroupVersionKind(kind)
			return obj, nil
		}
	}
	return c.Scheme.ConvertToVersion(obj, target)
}
