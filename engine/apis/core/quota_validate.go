package core

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateQuota(q *corev1.ResourceQuota) field.ErrorList {
	errs := apis.ValidateMeta(&q.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateQuotaAmounts(q.Spec.Hard, specPath.Child("hard"))...)
	scopesAt := specPath.Child("scopes")
	known := []corev1.ResourceQuotaScope{
		corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeTerminating,
		corev1.ResourceQuotaScopeVolumeAttributesClass,
	}
	has := sets.New(q.Spec.Scopes...)
	for _, scope := range q.Spec.Scopes {
		if !slices.Contains(known, scope) {
			errs = append(errs, field.Invalid(scopesAt, q.Spec.Scopes, "unsupported scope"))
		}
	}
	for _, pair := range [][2]corev1.ResourceQuotaScope{
		{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
		{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
	} {
		if has.HasAll(pair[:]...) {
			errs = append(errs, field.Invalid(scopesAt, q.Spec.Scopes, "conflicting scopes"))
		}
	}
	if s := q.Spec.ScopeSelector; s != nil {
		errs = append(errs, validateScopeSelector(s, known, specPath.Child("scopeSelector", "matchExpressions"))...)
	}
	return errs
}

func validateScopeSelector(s *corev1.ScopeSelector, known []corev1.ResourceQuotaScope, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, r := range s.MatchExpressions {
		if !slices.Contains(known, r.ScopeName) {
			errs = append(errs, field.Invalid(at.Child("scopeName"), r.ScopeName, "unsupported scope"))
		}
		switch r.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(at.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				errs = append(errs, field.Invalid(at.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
		}
	}
	return errs
}

func validateQuotaAmounts(list corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		errs = append(errs, validateQuotaResourceName(name, at.Key(string(name)))...)
		errs = append(errs, validateAmount(name, list[name], at.Key(string(name)))...)
	}
	return errs
}

// validateQuotaResourceName takes amounts, and counts of objects.
func validateQuotaResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := validateResourceName(name, at)
	if strings.Contains(string(name), "/") || standardResources.Has(name) || isHugePages(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix) {
		return errs
	}
	return append(errs, field.Invalid(at, name, "must be a standard resource for quota"))
}

func validateQuotaUpdate(_ context.Context, q, old *corev1.ResourceQuota) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&q.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateQuota(q)...)
	if !sets.New(q.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
		errs = append(errs, field.Invalid(specPath.Child("scopes"), q.Spec.Scopes, immutable))
	}
	return errs
}

func validateQuotaStatusUpdate(_ context.Context, q, old *corev1.ResourceQuota) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&q.ObjectMeta, &old.ObjectMeta, metadata)
	if q.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	errs = append(errs, validateQuotaAmounts(q.Status.Hard, field.NewPath("status", "hard"))...)
	return append(errs, validateQuotaAmounts(q.Status.Used, field.NewPath("status", "used"))...)
}
