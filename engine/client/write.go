package client

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/pintle-io/pintle/engine/apis"
)

// ErrUnchanged is what a function given to UpdateFunc returns to leave the
// object as it is; UpdateFunc then returns the current object and no error.
var ErrUnchanged = errors.New("unchanged")

// Create writes a new object and returns what was stored. obj belongs to the
// client afterwards.
func (c *Client) Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error) {
	row, err := c.rowOf(obj)
	if err != nil {
		return nil, err
	}
	s, err := storage[rest.Creater](c.shared, row.GVR(), "", "create")
	if err != nil {
		return nil, err
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	namespace := m.GetNamespace()
	rest.WipeObjectMetaSystemFields(m)
	c.scheme.Default(obj)
	managed, err := c.fields.get(row, s, "")
	if err != nil {
		return nil, err
	}
	obj = managed.created(obj, c.managerName(opts.FieldManager))

	ctx = c.scope(ctx, namespace)
	attrs := admission.NewAttributesRecord(obj, nil, row.GVK, attributesNamespace(row.GVR(), namespace, m.GetName()), m.GetName(),
		row.GVR(), "", admission.Create, &opts, len(opts.DryRun) > 0, c.user)
	admit := c.currentAdmission()
	if err := mutate(ctx, admit, attrs, c.ifaces); err != nil {
		return nil, err
	}
	return s.Create(ctx, obj, c.validateCreate(admit, attrs), &opts)
}

// CreateSubresource posts obj to a subresource of a named object: a Binding to
// pods/binding, an Eviction to pods/eviction, a TokenRequest to
// serviceaccounts/token.
func (c *Client) CreateSubresource(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error) {
	gvk, err := c.kindOf(obj)
	if err != nil {
		return nil, err
	}
	ctx = c.scope(ctx, namespace)
	attrs := admission.NewAttributesRecord(obj, nil, gvk, namespace, name, gvr, subresource, admission.Create, &opts, len(opts.DryRun) > 0, c.user)
	admit := c.currentAdmission()
	if err := mutate(ctx, admit, attrs, c.ifaces); err != nil {
		return nil, err
	}
	validate := c.validateCreate(admit, attrs)
	if s, err := storage[rest.NamedCreater](c.shared, gvr, subresource, "create"); err == nil {
		return s.Create(ctx, name, obj, validate, &opts)
	}
	s, err := storage[rest.Creater](c.shared, gvr, subresource, "create")
	if err != nil {
		return nil, err
	}
	return s.Create(ctx, obj, validate, &opts)
}

// Update replaces an object. A resourceVersion in it is a precondition.
func (c *Client) Update(ctx context.Context, obj runtime.Object, opts metav1.UpdateOptions) (runtime.Object, error) {
	return c.updateObject(ctx, obj, "", opts)
}

// UpdateStatus replaces the status of an object.
func (c *Client) UpdateStatus(ctx context.Context, obj runtime.Object, opts metav1.UpdateOptions) (runtime.Object, error) {
	return c.updateObject(ctx, obj, "status", opts)
}

// UpdateSubresource replaces what a subresource (finalize, approval) covers.
func (c *Client) UpdateSubresource(ctx context.Context, obj runtime.Object, subresource string, opts metav1.UpdateOptions) (runtime.Object, error) {
	return c.updateObject(ctx, obj, subresource, opts)
}

func (c *Client) updateObject(ctx context.Context, obj runtime.Object, subresource string, opts metav1.UpdateOptions) (runtime.Object, error) {
	row, err := c.rowOf(obj)
	if err != nil {
		return nil, err
	}
	namespace, name, err := accessor(obj)
	if err != nil {
		return nil, err
	}
	c.scheme.Default(obj)
	return c.update(ctx, row, namespace, name, subresource, opts, func(transform ...rest.TransformFunc) rest.UpdatedObjectInfo {
		return rest.DefaultUpdatedObjectInfo(obj, transform...)
	})
}

// UpdateFunc changes the current object: change gets a private copy, again with
// the newer object if somebody else wrote in between. The subresource is empty
// or "status".
func (c *Client) UpdateFunc(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, change func(obj runtime.Object) error) (runtime.Object, error) {
	row, ok := c.byGVR[gvr]
	if !ok {
		return nil, fmt.Errorf("client: %s is not served", gvr.GroupResource())
	}
	current := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		obj := old.DeepCopyObject()
		if err := change(obj); err != nil {
			return nil, err
		}
		c.scheme.Default(obj)
		return obj, nil
	}
	obj, err := c.update(ctx, row, namespace, name, subresource, metav1.UpdateOptions{}, func(transform ...rest.TransformFunc) rest.UpdatedObjectInfo {
		return rest.DefaultUpdatedObjectInfo(nil, append([]rest.TransformFunc{current}, transform...)...)
	})
	if errors.Is(err, ErrUnchanged) {
		return c.Get(ctx, gvr, namespace, name)
	}
	return obj, err
}

// update runs the update protocol: managedFields, mutating admission, then the
// storage, which validates and checks the resourceVersion.
func (c *Client) update(ctx context.Context, row *apis.Resource, namespace, name, subresource string, opts metav1.UpdateOptions,
	info func(...rest.TransformFunc) rest.UpdatedObjectInfo,
) (runtime.Object, error) {
	s, err := storage[rest.Updater](c.shared, row.GVR(), subresource, "update")
	if err != nil {
		return nil, err
	}
	managed, err := c.fields.get(row, s, subresource)
	if err != nil {
		return nil, err
	}
	manager := c.managerName(opts.FieldManager)
	dryRun := len(opts.DryRun) > 0
	attrs := func(obj, old runtime.Object, op admission.Operation, options runtime.Object) admission.Attributes {
		return admission.NewAttributesRecord(obj, old, row.GVK, attributesNamespace(row.GVR(), namespace, name), name,
			row.GVR(), subresource, op, options, dryRun, c.user)
	}
	admit := c.currentAdmission()
	own := func(_ context.Context, obj, old runtime.Object) (runtime.Object, error) {
		return managed.updated(old, obj, manager), nil
	}
	admitted := func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		if isZero(old) {
			return obj, mutate(ctx, admit, attrs(obj, nil, admission.Create, createOptions(opts)), c.ifaces)
		}
		return obj, mutate(ctx, admit, attrs(obj, old, admission.Update, &opts), c.ifaces)
	}
	ctx = c.scope(ctx, namespace)
	obj, _, err := s.Update(ctx, name, info(own, admitted),
		c.validateCreate(admit, attrs(nil, nil, admission.Create, createOptions(opts))),
		c.validateUpdate(admit, attrs(nil, nil, admission.Update, &opts)), false, &opts)
	return obj, err
}

// Delete deletes one object; opts carries preconditions, grace period and
// propagation policy.
func (c *Client) Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error {
	row, ok := c.byGVR[gvr]
	if !ok {
		return c.dynamicDelete(ctx, gvr, namespace, name, opts)
	}
	s, err := storage[rest.GracefulDeleter](c.shared, gvr, "", "delete")
	if err != nil {
		return err
	}
	_, _, err = s.Delete(c.scope(ctx, namespace), name, c.validateDelete(row, namespace, name, &opts), &opts)
	return err
}

// DeleteCollection deletes what the options select in a namespace. Like Delete it
// also serves resources that are not in the table.
func (c *Client) DeleteCollection(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.DeleteOptions, list ListOptions) error {
	row, ok := c.byGVR[gvr]
	if !ok {
		return c.dynamicDeleteCollection(ctx, gvr, namespace, opts, list)
	}
	s, err := storage[rest.CollectionDeleter](c.shared, gvr, "", "deletecollection")
	if err != nil {
		return err
	}
	_, err = s.DeleteCollection(c.scope(ctx, namespace), c.validateDelete(row, namespace, "", &opts), &opts, list.internal())
	return err
}

func (c *Client) managerName(fromOptions string) string {
	if fromOptions != "" {
		return fromOptions
	}
	return c.manager
}

func (c *Client) kindOf(obj runtime.Object) (schema.GroupVersionKind, error) {
	kinds, _, err := c.scheme.ObjectKinds(obj)
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	for _, k := range kinds {
		if k.Version != runtime.APIVersionInternal {
			return k, nil
		}
	}
	return kinds[0], nil
}

func createOptions(u metav1.UpdateOptions) *metav1.CreateOptions {
	return &metav1.CreateOptions{DryRun: u.DryRun, FieldManager: u.FieldManager, FieldValidation: u.FieldValidation}
}

// isZero reports that there was no stored object: an update that creates.
func isZero(obj runtime.Object) bool {
	m, err := meta.Accessor(obj)
	return err == nil && m.GetUID() == ""
}
