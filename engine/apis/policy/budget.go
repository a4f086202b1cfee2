package policy

import (
	"context"
	"slices"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func podDisruptionBudgets() apis.Resource {
	parts := apis.Parts[*policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetSpec, policyv1.PodDisruptionBudgetStatus]{
		Spec:   func(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetSpec { return &b.Spec },
		Status: func(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetStatus { return &b.Status },
	}
	rules := apis.TypedRules[*policyv1.PodDisruptionBudget]{
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(_ context.Context, b *policyv1.PodDisruptionBudget) field.ErrorList {
			errs := validation.ValidateObjectMeta(&b.ObjectMeta, true, anyName, metadata)
			return append(errs, validateBudget(&b.Spec, specPath)...)
		},
		ValidateUpdate: func(_ context.Context, b, old *policyv1.PodDisruptionBudget) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&b.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validateBudget(&b.Spec, specPath)...)
		},
		ValidateStatusUpdate: validateBudgetStatus,
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), Plural: "poddisruptionbudgets", Singular: "poddisruptionbudget",
		ShortNames: []string{"pdb"}, Namespaced: true,
		New:     func() runtime.Object { return &policyv1.PodDisruptionBudget{} },
		NewList: func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Min Available", "The pods that must stay.", func(b *policyv1.PodDisruptionBudget) string { return share(b.Spec.MinAvailable) }),
			apis.Text("Max Unavailable", "The pods that may go.", func(b *policyv1.PodDisruptionBudget) string { return share(b.Spec.MaxUnavailable) }),
			apis.Number("Allowed Disruptions", "The pods that may go now.", func(b *policyv1.PodDisruptionBudget) int64 { return int64(b.Status.DisruptionsAllowed) }),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

// anyName leaves names to what every name must keep.
func anyName(string, bool) []string { return nil }

func share(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}

func validateBudget(spec *policyv1.PodDisruptionBudgetSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.MinAvailable != nil && spec.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(at, spec, "minAvailable and maxUnavailable cannot be both set"))
	}
	errs = append(errs, validateShare(spec.MinAvailable, at.Child("minAvailable"))...)
	errs = append(errs, validateShare(spec.MaxUnavailable, at.Child("maxUnavailable"))...)
	errs = append(errs, metavalidation.ValidateLabelSelector(spec.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	known := []policyv1.UnhealthyPodEvictionPolicyType{policyv1.AlwaysAllow, policyv1.IfHealthyBudget}
	if p := spec.UnhealthyPodEvictionPolicy; p != nil && !slices.Contains(known, *p) {
		errs = append(errs, field.NotSupported(at.Child("unhealthyPodEvictionPolicy"), *p, known))
	}
	return errs
}

func validateShare(v *intstr.IntOrString, at *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	if v.Type == intstr.Int {
		return core.ValidateNotNegative(v.IntVal, at)
	}
	var errs field.ErrorList
	for _, msg := range utilvalidation.IsValidPercent(v.StrVal) {
		errs = append(errs, field.Invalid(at, *v, msg))
	}
	if len(errs) == 0 {
		if p, err := intstr.GetScaledValueFromIntOrPercent(v, 100, false); err == nil && p > 100 {
			errs = append(errs, field.Invalid(at, *v, "must not be greater than 100%"))
		}
	}
	return errs
}

func validateBudgetStatus(_ context.Context, b, old *policyv1.PodDisruptionBudget) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&b.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status")
	errs = append(errs, metavalidation.ValidateConditions(b.Status.Conditions, at.Child("conditions"))...)
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"disruptionsAllowed", b.Status.DisruptionsAllowed}, {"currentHealthy", b.Status.CurrentHealthy},
		{"desiredHealthy", b.Status.DesiredHealthy}, {"expectedPods", b.Status.ExpectedPods},
	} {
		errs = append(errs, core.ValidateNotNegative(f.value, at.Child(f.name))...)
	}
	return errs
}
