package admission

import (
	"context"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

var (
	claimResource    = resourcev1.Resource("resourceclaims")
	templateResource = resourcev1.Resource("resourceclaimtemplates")
)

// adminAccess lets claims have devices that others use only in namespaces which an
// administrator has labelled for it. Upstream checks that where it stores claims, so
// that it cannot be turned off; nor can it here.
type adminAccess struct {
	operations
	namespaces corev1client.NamespaceInterface
}

func newAdminAccess(b *builder) *adminAccess {
	return &adminAccess{operations{admission.Create, admission.Update}, b.Client.CoreV1().Namespaces()}
}

// Validate implements admission.ValidationInterface.
func (p *adminAccess) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	path := p.asked(a)
	if path == nil {
		return nil
	}
	var problem *field.Error
	if ns, err := p.namespaces.Get(ctx, a.GetNamespace(), metav1.GetOptions{}); err != nil {
		problem = field.InternalError(path, fmt.Errorf("could not retrieve namespace to verify admin access: %w", err))
	} else if ns.Labels[resourcev1.DRAAdminNamespaceLabelKey] != "true" {
		problem = field.Forbidden(path, fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", resourcev1.DRAAdminNamespaceLabelKey))
	}
	if problem == nil {
		return nil
	}
	name := a.GetName()
	if obj, err := meta.Accessor(a.GetObject()); err == nil && name == "" {
		name = obj.GetName()
	}
	return apierrors.NewInvalid(a.GetKind().GroupKind(), name, field.ErrorList{problem})
}

// asked is the first field of the write that asks for such access, nil if none does.
// What was granted before stays.
func (p *adminAccess) asked(a admission.Attributes) *field.Path {
	switch {
	case is(a, claimResource, "") && a.GetOperation() == admission.Create:
		if claim, ok := a.GetObject().(*resourcev1.ResourceClaim); ok {
			return asksForAll(claim.Spec.Devices.Requests, field.NewPath("spec"))
		}
	case is(a, templateResource, "") && a.GetOperation() == admission.Create:
		if template, ok := a.GetObject().(*resourcev1.ResourceClaimTemplate); ok {
			return asksForAll(template.Spec.Spec.Devices.Requests, field.NewPath("spec"))
		}
	case is(a, claimResource, "status") && granted(a.GetOldObject()) == nil:
		return granted(a.GetObject())
	}
	return nil
}

func asksForAll(requests []resourcev1.DeviceRequest, spec *field.Path) *field.Path {
	for i := range requests {
		if r := requests[i].Exactly; r != nil && r.AdminAccess != nil && *r.AdminAccess {
			return spec.Child("devices", "requests").Index(i).Child("adminAccess")
		}
	}
	return nil
}

func granted(obj runtime.Object) *field.Path {
	claim, ok := obj.(*resourcev1.ResourceClaim)
	if !ok || claim.Status.Allocation == nil {
		return nil
	}
	for i, result := range claim.Status.Allocation.Devices.Results {
		if result.AdminAccess != nil && *result.AdminAccess {
			return field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess")
		}
	}
	return nil
}
