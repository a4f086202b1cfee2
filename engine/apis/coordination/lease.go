package coordination

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func leases() apis.Resource {
	rules := apis.TypedRules[*coordinationv1.Lease]{
		// Coordinated leader election is off by default.
		PrepareForCreate: func(_ context.Context, l *coordinationv1.Lease) {
			l.Spec.Strategy, l.Spec.PreferredHolder = nil, nil
		},
		PrepareForUpdate: func(_ context.Context, l, old *coordinationv1.Lease) {
			if old.Spec.Strategy == nil {
				l.Spec.Strategy = nil
			}
			if old.Spec.PreferredHolder == nil {
				l.Spec.PreferredHolder = nil
			}
		},
		Validate: func(_ context.Context, l *coordinationv1.Lease) field.ErrorList {
			errs := validation.ValidateObjectMeta(&l.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
			return append(errs, validateLeaseSpec(&l.Spec, field.NewPath("spec"))...)
		},
		ValidateUpdate: func(_ context.Context, l, old *coordinationv1.Lease) field.ErrorList {
			errs := validation.ValidateObjectMetaUpdate(&l.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
			return append(errs, validateLeaseSpec(&l.Spec, field.NewPath("spec"))...)
		},
	}.Rules()
	rules.CreateOnUpdate = true
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: coordinationv1.SchemeGroupVersion.WithKind("Lease"), Plural: "leases", Singular: "lease", Namespaced: true,
		New:     func() runtime.Object { return &coordinationv1.Lease{} },
		NewList: func() runtime.Object { return &coordinationv1.LeaseList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Holder", "Who holds the lease.", func(l *coordinationv1.Lease) string {
				if l.Spec.HolderIdentity == nil {
					return ""
				}
				return *l.Spec.HolderIdentity
			}),
			apis.AgeColumn(),
		},
	}
}

func validateLeaseSpec(spec *coordinationv1.LeaseSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if d := spec.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(at.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	if t := spec.LeaseTransitions; t != nil && *t < 0 {
		errs = append(errs, field.Invalid(at.Child("leaseTransitions"), *t, "must be greater than or equal to 0"))
	}
	return errs
}
