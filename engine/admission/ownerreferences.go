package admission

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// ownerReferences demands, of who would let an object block its owner's deletion,
// the right to set finalizers on the owner; and of who changes owners, the right
// to delete the object.
type ownerReferences struct {
	operations
	authorizer authorizer.Authorizer
	mapper     meta.RESTMapper
}

func newOwnerReferences(b *builder) (admission.Interface, error) {
	return &ownerReferences{onWrite, b.Authorizer, b.Mapper}, nil
}

// Validate implements admission.ValidationInterface.
func (o *ownerReferences) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if is(a, podsResource, "status") || a.GetUserInfo() == nil {
		return nil
	}
	next, before := owners(a.GetObject()), owners(a.GetOldObject())
	if a.GetOperation() == admission.Update && !equality.Semantic.DeepEqual(next, before) {
		err := o.may(ctx, a, authorizer.AttributesRecord{
			Verb: "delete", Namespace: a.GetNamespace(), Name: a.GetName(),
			APIGroup: a.GetResource().Group, APIVersion: a.GetResource().Version, Resource: a.GetResource().Resource,
		})
		if err != nil {
			return admission.NewForbidden(a, fmt.Errorf("cannot set an ownerRef on a resource you can't delete: %w", err))
		}
	}
	for i := range next {
		if !blocks(&next[i]) || slices.ContainsFunc(before, func(r metav1.OwnerReference) bool { return blocks(&r) && r.UID == next[i].UID }) {
			continue
		}
		if err := o.mayFinalize(ctx, a, &next[i]); err != nil {
			return admission.NewForbidden(a, fmt.Errorf("cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: %w", err))
		}
	}
	return nil
}

func owners(obj runtime.Object) []metav1.OwnerReference {
	if obj == nil {
		return nil
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil // it has no owners then
	}
	return m.GetOwnerReferences()
}

func blocks(r *metav1.OwnerReference) bool {
	return r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion
}

func (o *ownerReferences) mayFinalize(ctx context.Context, a admission.Attributes, owner *metav1.OwnerReference) error {
	kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind)
	resource, namespaced, err := o.resource(kind)
	if err != nil {
		return err
	}
	want := authorizer.AttributesRecord{
		Verb: "update", Name: owner.Name, APIGroup: resource.Group, APIVersion: resource.Version, Resource: resource.Resource, Subresource: "finalizers",
	}
	if namespaced {
		want.Namespace = a.GetNamespace()
	}
	return o.may(ctx, a, want)
}

func (o *ownerReferences) resource(kind schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	if o.mapper == nil {
		plural, _ := meta.UnsafeGuessKindToResource(kind)
		return plural, true, nil
	}
	mapping, err := o.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	return mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

func (o *ownerReferences) may(ctx context.Context, a admission.Attributes, want authorizer.AttributesRecord) error {
	want.User, want.ResourceRequest = a.GetUserInfo(), true
	decision, reason, err := o.authorizer.Authorize(ctx, want)
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("user %q cannot %s %s/%s %q: %s", want.User.GetName(), want.Verb, want.Resource, want.Subresource, want.Name, reason)
}
