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

func validateDeployment(_ context.Context, d *appsv1.Deployment) field.ErrorList {
	errs := apis.ValidateMeta(&d.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateDeploymentSpec(&d.Spec, specPath)...)
}

func validateDeploymentUpdate(_ context.Context, d, old *appsv1.Deployment) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateDeploymentSpec(&d.Spec, specPath)...)
	return append(errs, validation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateDeploymentSpec(spec *appsv1.DeploymentSpec, at *field.Path) field.ErrorList {
	errs := core.ValidateNotNegative(ptr.Deref(spec.Replicas, 0), at.Child("replicas"))
	selector, bad := validateSelector(spec.Selector, "deployment", at.Child("selector"))
	errs = append(errs, bad...)
	w := core.WorkloadTemplate{Kind: "ReplicaSet", Selector: selector}
	errs = append(errs, w.Validate(&spec.Template, at.Child("template"))...)
	errs = append(errs, validateDeploymentStrategy(&spec.Strategy, at.Child("strategy"))...)
	errs = append(errs, core.ValidateNotNegative(spec.MinReadySeconds, at.Child("minReadySeconds"))...)
	if l := spec.RevisionHistoryLimit; l != nil {
		errs = append(errs, core.ValidateNotNegative(*l, at.Child("revisionHistoryLimit"))...)
	}
	if d := spec.ProgressDeadlineSeconds; d != nil {
		errs = append(errs, core.ValidateNotNegative(*d, at.Child("progressDeadlineSeconds"))...)
		if *d <= spec.MinReadySeconds {
			errs = append(errs, field.Invalid(at.Child("progressDeadlineSeconds"), *d, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateDeploymentStrategy(s *appsv1.DeploymentStrategy, at *field.Path) field.ErrorList {
	rollingAt := at.Child("rollingUpdate")
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(rollingAt, "may not be specified when strategy `type` is '"+string(appsv1.RecreateDeploymentStrategyType)+"'")}
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(rollingAt, "this should be defaulted and never be nil")}
		}
		return validateRollingDeployment(s.RollingUpdate, rollingAt)
	}
	return field.ErrorList{field.NotSupported(at.Child("type"), s.Type, []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType})}
}

func validateRollingDeployment(r *appsv1.RollingUpdateDeployment, at *field.Path) field.ErrorList {
	unavailable, surge := ptr.Deref(r.MaxUnavailable, zero), ptr.Deref(r.MaxSurge, zero)
	errs := validateShare(unavailable, at.Child("maxUnavailable"))
	errs = append(errs, validateShare(surge, at.Child("maxSurge"))...)
	if amount(&unavailable) == 0 && amount(&surge) == 0 {
		errs = append(errs, field.Invalid(at.Child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, atMostAll(unavailable, at.Child("maxUnavailable"))...)
}

func validateDeploymentStatusUpdate(_ context.Context, d, old *appsv1.Deployment) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta, metadata)
	s := &d.Status
	errs = append(errs, core.ValidateNotNegative(s.UpdatedReplicas, statusPath.Child("updatedReplicas"))...)
	errs = append(errs, core.ValidateNotNegative(s.UnavailableReplicas, statusPath.Child("unavailableReplicas"))...)
	errs = append(errs, core.ReplicaCounts{
		Replicas: s.Replicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
	}.Validate(statusPath)...)
	if c := s.CollisionCount; c != nil {
		errs = append(errs, core.ValidateNotNegative(*c, statusPath.Child("collisionCount"))...)
	}
	if s.UpdatedReplicas > s.Replicas {
		errs = append(errs, field.Invalid(statusPath.Child("updatedReplicas"), s.UpdatedReplicas, "cannot be greater than status.replicas"))
	}
	return append(errs, validateCollisions(s.CollisionCount, old.Status.CollisionCount, statusPath.Child("collisionCount"))...)
}
