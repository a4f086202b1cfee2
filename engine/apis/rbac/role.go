package rbac

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func roles() apis.Resource {
	rules := apis.TypedRules[*rbacv1.Role]{
		Validate: func(_ context.Context, r *rbacv1.Role) field.ErrorList { return validateRole(r) },
		ValidateUpdate: func(_ context.Context, r, old *rbacv1.Role) field.ErrorList {
			return append(validateRole(r), apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))...)
		},
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("Role"), Plural: "roles", Singular: "role", Namespaced: true,
		New:     func() runtime.Object { return &rbacv1.Role{} },
		NewList: func() runtime.Object { return &rbacv1.RoleList{} },
		Rules:   rules,
		Columns: []apis.Column{apis.NameColumn(), apis.CreatedColumn()},
	}
}

func clusterRoles() apis.Resource {
	rules := apis.TypedRules[*rbacv1.ClusterRole]{
		Validate: func(_ context.Context, r *rbacv1.ClusterRole) field.ErrorList { return validateClusterRole(r) },
		ValidateUpdate: func(_ context.Context, r, old *rbacv1.ClusterRole) field.ErrorList {
			return append(validateClusterRole(r), apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))...)
		},
		WarningsOnCreate: func(_ context.Context, r *rbacv1.ClusterRole) []string { return clusterRoleWarnings(r) },
		WarningsOnUpdate: func(_ context.Context, r, _ *rbacv1.ClusterRole) []string { return clusterRoleWarnings(r) },
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("ClusterRole"), Plural: "clusterroles", Singular: "clusterrole",
		New:     func() runtime.Object { return &rbacv1.ClusterRole{} },
		NewList: func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		Rules:   rules,
		Columns: []apis.Column{apis.NameColumn(), apis.CreatedColumn()},
	}
}

// nameIsPathSegment allows what a URL can carry: role names are not DNS names.
func nameIsPathSegment(name string, _ bool) []string { return path.IsValidPathSegmentName(name) }

func validateRole(r *rbacv1.Role) field.ErrorList {
	errs := apis.ValidateMeta(&r.ObjectMeta, true, nameIsPathSegment, field.NewPath("metadata"))
	for i := range r.Rules {
		errs = append(errs, validateRule(&r.Rules[i], true, field.NewPath("rules").Index(i))...)
	}
	return errs
}

func validateClusterRole(r *rbacv1.ClusterRole) field.ErrorList {
	errs := apis.ValidateMeta(&r.ObjectMeta, false, nameIsPathSegment, field.NewPath("metadata"))
	for i := range r.Rules {
		errs = append(errs, validateRule(&r.Rules[i], false, field.NewPath("rules").Index(i))...)
	}
	if r.AggregationRule == nil {
		return errs
	}
	at := field.NewPath("aggregationRule")
	if len(r.AggregationRule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i := range r.AggregationRule.ClusterRoleSelectors {
		selector := &r.AggregationRule.ClusterRoleSelectors[i]
		selectorAt := at.Child("clusterRoleSelectors").Index(i)
		errs = append(errs, metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, selectorAt)...)
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			errs = append(errs, field.Invalid(selectorAt, selector, "invalid label selector."))
		}
	}
	return errs
}

func validateRule(r *rbacv1.PolicyRule, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Verbs) == 0 {
		errs = append(errs, field.Required(at.Child("verbs"), "verbs must contain at least one value"))
	}
	if len(r.NonResourceURLs) > 0 {
		if namespaced {
			errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
		}
		if len(r.APIGroups) > 0 || len(r.Resources) > 0 || len(r.ResourceNames) > 0 {
			errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
		}
		return errs
	}
	if len(r.APIGroups) == 0 {
		errs = append(errs, field.Required(at.Child("apiGroups"), "resource rules must supply at least one api group"))
	}
	if len(r.Resources) == 0 {
		errs = append(errs, field.Required(at.Child("resources"), "resource rules must supply at least one resource"))
	}
	return errs
}

// clusterRoleWarnings names selectors that can match nothing.
func clusterRoleWarnings(r *rbacv1.ClusterRole) []string {
	if r.AggregationRule == nil {
		return nil
	}
	var warnings []string
	for i, selector := range r.AggregationRule.ClusterRoleSelectors {
		for _, problem := range metavalidation.ValidateLabelSelector(&selector, metavalidation.LabelSelectorValidationOptions{}, field.NewPath("aggregationRule", "clusterRoleSelectors").Index(i)) {
			warnings = append(warnings, fmt.Sprintf("%s: %s", problem.Field, problem.ErrorBody()))
		}
	}
	return warnings
}
