package resource

import (
	"context"
	"strings"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func claims() apis.Resource {
	parts := apis.Parts[*v1.ResourceClaim, v1.ResourceClaimSpec, v1.ResourceClaimStatus]{
		Spec:         func(c *v1.ResourceClaim) *v1.ResourceClaimSpec { return &c.Spec },
		Status:       func(c *v1.ResourceClaim) *v1.ResourceClaimStatus { return &c.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*v1.ResourceClaim]{
		Default:                func(c *v1.ResourceClaim) { defaultClaim(&c.Spec) },
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(ctx context.Context, c *v1.ResourceClaim) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			errs = append(errs, validateRequests(&c.Spec, specPath)...)
			return errs
		},
		ValidateUpdate: func(_ context.Context, c, old *v1.ResourceClaim) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validation.ValidateImmutableField(c.Spec, old.Spec, specPath)...)
		},
		ValidateStatusUpdate: validateClaimStatus,
	}.Rules()
	rules.DeclaredOptions = options
	return apis.Resource{
		GVK: kind("ResourceClaim"), Plural: "resourceclaims", Singular: "resourceclaim", Namespaced: true,
		New:            func() runtime.Object { return &v1.ResourceClaim{} },
		NewList:        func() runtime.Object { return &v1.ResourceClaimList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("State", "Whether it is allocated, reserved or going away.", claimState),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func claimState(c *v1.ResourceClaim) string {
	var states []string
	if c.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	if c.Status.Allocation == nil {
		if c.DeletionTimestamp == nil {
			states = append(states, "pending")
		}
	} else {
		states = append(states, "allocated")
		if len(c.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	}
	return strings.Join(states, ",")
}

func claimTemplates() apis.Resource {
	rules := apis.TypedRules[*v1.ResourceClaimTemplate]{
		Default: func(t *v1.ResourceClaimTemplate) { defaultClaim(&t.Spec.Spec) },
		Validate: func(ctx context.Context, t *v1.ResourceClaimTemplate) field.ErrorList {
			errs := apis.ValidateMeta(&t.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			errs = append(errs, validateRequests(&t.Spec.Spec, specPath.Child("spec"))...)
			return errs
		},
		ValidateUpdate: func(_ context.Context, t, old *v1.ResourceClaimTemplate) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&t.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validation.ValidateImmutableField(t.Spec, old.Spec, specPath)...)
		},
	}.Rules()
	rules.DeclaredOptions = options
	return apis.Resource{
		GVK: kind("ResourceClaimTemplate"), Plural: "resourceclaimtemplates", Singular: "resourceclaimtemplate", Namespaced: true,
		New:            func() runtime.Object { return &v1.ResourceClaimTemplate{} },
		NewList:        func() runtime.Object { return &v1.ResourceClaimTemplateList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        []apis.Column{apis.NameColumn(), apis.AgeColumn()},
	}
}

func defaultClaim(spec *v1.ResourceClaimSpec) {
	count := func(mode *v1.DeviceAllocationMode, n *int64) {
		if *mode == "" {
			*mode = v1.DeviceAllocationModeExactCount
		}
		if *mode == v1.DeviceAllocationModeExactCount && *n == 0 {
			*n = 1
		}
	}
	tolerations := func(list []v1.DeviceToleration) {
		for i := range list {
			if list[i].Operator == "" {
				list[i].Operator = v1.DeviceTolerationOpEqual
			}
		}
	}
	for i := range spec.Devices.Requests {
		r := &spec.Devices.Requests[i]
		if r.Exactly != nil {
			count(&r.Exactly.AllocationMode, &r.Exactly.Count)
			tolerations(r.Exactly.Tolerations)
		}
		for j := range r.FirstAvailable {
			count(&r.FirstAvailable[j].AllocationMode, &r.FirstAvailable[j].Count)
			tolerations(r.FirstAvailable[j].Tolerations)
		}
	}
}

// validateRequests checks what the generated validation leaves to code: names,
// and that each request says what it wants in one of the two ways.
func validateRequests(spec *v1.ResourceClaimSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	requestsAt := at.Child("devices", "requests")
	for i := range spec.Devices.Requests {
		r, rAt := &spec.Devices.Requests[i], requestsAt.Index(i)
		if r.Name == "" {
			errs = append(errs, field.Required(rAt.Child("name"), ""))
		} else {
			for _, msg := range validation.NameIsDNSLabel(r.Name, false) {
				errs = append(errs, field.Invalid(rAt.Child("name"), r.Name, msg))
			}
		}
		switch {
		case r.Exactly == nil && len(r.FirstAvailable) == 0:
			errs = append(errs, field.Required(rAt, "exactly one of `exactly` or `firstAvailable` is required"))
		case r.Exactly != nil && len(r.FirstAvailable) > 0:
			errs = append(errs, field.Invalid(rAt, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
		case r.Exactly != nil && r.Exactly.DeviceClassName == "":
			errs = append(errs, field.Required(rAt.Child("exactly", "deviceClassName"), ""))
		}
	}
	return errs
}

// validateClaimStatus keeps an allocation while it is reserved, and asks for one
// before anything is reserved.
func validateClaimStatus(ctx context.Context, c, old *v1.ResourceClaim) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	if len(c.Status.ReservedFor) > 0 && c.Status.Allocation == nil {
		errs = append(errs, field.Forbidden(statusPath.Child("reservedFor"), "may not be specified when `allocated` is not set"))
	}
	if len(c.Status.ReservedFor) > len(old.Status.ReservedFor) && c.DeletionTimestamp != nil {
		errs = append(errs, field.Forbidden(statusPath.Child("reservedFor"), "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	if old.Status.Allocation != nil && c.Status.Allocation != nil && !equality.Semantic.DeepEqual(old.Status.Allocation, c.Status.Allocation) {
		errs = append(errs, field.Invalid(statusPath.Child("allocation"), c.Status.Allocation, "field is immutable"))
	}
	return errs
}
