package apps

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateReplicaSet(_ context.Context, r *appsv1.ReplicaSet) field.ErrorList {
	errs := apis.ValidateMeta(&r.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateReplicaSetSpec(&r.Spec, specPath)...)
}

func validateReplicaSetUpdate(_ context.Context, r, old *appsv1.ReplicaSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateReplicaSetSpec(&r.Spec, specPath)...)
	return append(errs, validation.ValidateImmutableField(r.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateReplicaSetSpec(spec *appsv1.ReplicaSetSpec, at *field.Path) field.ErrorList {
	errs := core.ValidateNotNegative(ptr.Deref(spec.Replicas, 0), at.Child("replicas"))
	errs = append(errs, core.ValidateNotNegative(spec.MinReadySeconds, at.Child("minReadySeconds"))...)
	selector, bad := validateSelector(spec.Selector, "deployment", at.Child("selector"))
	errs = append(errs, bad...)
	w := core.WorkloadTemplate{Kind: "ReplicaSet", Selector: selector}
	return append(errs, w.Validate(&spec.Template, at.Child("template"))...)
}

func validateReplicaSetStatusUpdate(_ context.Context, r, old *appsv1.ReplicaSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, core.ReplicaCounts{
		Replicas: r.Status.Replicas, FullyLabeled: r.Status.FullyLabeledReplicas, Ready: r.Status.ReadyReplicas,
		Available: r.Status.AvailableReplicas, ObservedGeneration: r.Status.ObservedGeneration,
	}.Validate(statusPath)...)
}
