package apps

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func validateDaemonSet(_ context.Context, d *appsv1.DaemonSet) field.ErrorList {
	errs := apis.ValidateMeta(&d.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateDaemonSetSpec(&d.Spec, specPath)...)
}

func validateDaemonSetUpdate(_ context.Context, d, old *appsv1.DaemonSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateDaemonSetSpec(&d.Spec, specPath)...)
	return append(errs, validation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateDaemonSetSpec(spec *appsv1.DaemonSetSpec, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(spec.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))
	selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
	if err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("template", "metadata", "labels"), spec.Template.Labels, "`selector` does not match template `labels`"))
	}
	if s := spec.Selector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(at.Child("selector"), s, "empty selector is invalid for daemonset"))
	}
	w := core.WorkloadTemplate{Kind: "DaemonSet"}
	errs = append(errs, w.Validate(&spec.Template, at.Child("template"))...)
	errs = append(errs, core.ValidateNotNegative(spec.MinReadySeconds, at.Child("minReadySeconds"))...)
	errs = append(errs, validateDaemonSetStrategy(&spec.UpdateStrategy, at.Child("updateStrategy"))...)
	if l := spec.RevisionHistoryLimit; l != nil {
		errs = append(errs, core.ValidateNotNegative(*l, at.Child("revisionHistoryLimit"))...)
	}
	return errs
}

func validateDaemonSetStrategy(s *appsv1.DaemonSetUpdateStrategy, at *field.Path) field.ErrorList {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(at.Child("rollingUpdate"), "")}
		}
		return validateRollingDaemonSet(s.RollingUpdate, at.Child("rollingUpdate"))
	}
	return field.ErrorList{field.NotSupported(at.Child("type"), s.Type, []appsv1.DaemonSetUpdateStrategyType{
		appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType,
	})}
}

// validateRollingDaemonSet asks for exactly one of the two ways to make progress.
func validateRollingDaemonSet(r *appsv1.RollingUpdateDaemonSet, at *field.Path) field.ErrorList {
	unavailable, surge := ptr.Deref(r.MaxUnavailable, zero), ptr.Deref(r.MaxSurge, zero)
	errs := validateShare(unavailable, at.Child("maxUnavailable"))
	errs = append(errs, validateShare(surge, at.Child("maxSurge"))...)
	errs = append(errs, atMostAll(unavailable, at.Child("maxUnavailable"))...)
	errs = append(errs, atMostAll(surge, at.Child("maxSurge"))...)
	switch u, s := amount(&unavailable) != 0, amount(&surge) != 0; {
	case u && s:
		errs = append(errs, field.Invalid(at.Child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero"))
	case !u && !s:
		errs = append(errs, field.Required(at.Child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
	}
	return errs
}

func validateDaemonSetStatusUpdate(_ context.Context, d, old *appsv1.DaemonSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta, metadata)
	s := &d.Status
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"currentNumberScheduled", s.CurrentNumberScheduled}, {"numberMisscheduled", s.NumberMisscheduled},
		{"desiredNumberScheduled", s.DesiredNumberScheduled}, {"numberReady", s.NumberReady},
		{"updatedNumberScheduled", s.UpdatedNumberScheduled}, {"numberAvailable", s.NumberAvailable},
		{"numberUnavailable", s.NumberUnavailable},
	} {
		errs = append(errs, core.ValidateNotNegative(f.value, statusPath.Child(f.name))...)
	}
	return append(errs, validateCollisions(s.CollisionCount, old.Status.CollisionCount, statusPath.Child("collisionCount"))...)
}
