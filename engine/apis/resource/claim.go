package resource

import (
	"context"
	"strings"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func claims() apis.Resource {
	parts := apis.Parts[*v1.ResourceClaim, v1.ResourceClaimSpec, v1.ResourceClaimStatus]{
		Spec:         func(c *v1.ResourceClaim) *v1.ResourceClaimSpec { return &c.Spec },
		Status:       func(c *v1.ResourceClaim) *v1.ResourceClaimStatus { return &c.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*v1.ResourceClaim]{
		Default: func(c *v1.ResourceClaim) { defaultClaim(&c.Spec) },
		PrepareForCreate: func(ctx context.Context, c *v1.ResourceClaim) {
			parts.Create(ctx, c)
			dropAlpha(&c.Spec.Devices)
		},
		PrepareForUpdate: func(ctx context.Context, c, old *v1.ResourceClaim) {
			parts.Update(ctx, c, old)
			dropAlpha(&c.Spec.Devices)
		},
		PrepareForStatusUpdate: func(ctx context.Context, c, old *v1.ResourceClaim) {
			parts.UpdateStatus(ctx, c, old)
			if a := c.Status.Allocation; a != nil {
				for i := range a.Devices.Results {
					a.Devices.Results[i].SkipNodeOperations = nil
				}
			}
		},
		Validate: func(_ context.Context, c *v1.ResourceClaim) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateDevices(&c.Spec.Devices, specPath.Child("devices"))...)
		},
		ValidateUpdate: func(_ context.Context, c, old *v1.ResourceClaim) field.ErrorList {
			return apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
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
		Default:          func(t *v1.ResourceClaimTemplate) { defaultClaim(&t.Spec.Spec) },
		PrepareForCreate: func(_ context.Context, t *v1.ResourceClaimTemplate) { dropAlpha(&t.Spec.Spec.Devices) },
		PrepareForUpdate: func(_ context.Context, t, _ *v1.ResourceClaimTemplate) { dropAlpha(&t.Spec.Spec.Devices) },
		Validate: func(_ context.Context, t *v1.ResourceClaimTemplate) field.ErrorList {
			errs := apis.ValidateMeta(&t.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			errs = append(errs, core.ValidateTemplateMeta(&t.Spec.ObjectMeta, specPath.Child("metadata"))...)
			return append(errs, validateDevices(&t.Spec.Spec.Devices, specPath.Child("spec", "devices"))...)
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

// dropAlpha clears the fields of alpha features, none of which is on: nothing stored
// has them.
func dropAlpha(claim *v1.DeviceClaim) {
	for i := range claim.Requests {
		r := &claim.Requests[i]
		if r.Exactly != nil {
			r.Exactly.DerivedAttributes = nil
		}
		for j := range r.FirstAvailable {
			r.FirstAvailable[j].DerivedAttributes = nil
		}
	}
}
