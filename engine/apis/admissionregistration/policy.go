package admissionregistration

import (
	"context"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validatingPolicies() apis.Resource {
	parts := apis.Parts[*v1.ValidatingAdmissionPolicy, v1.ValidatingAdmissionPolicySpec, v1.ValidatingAdmissionPolicyStatus]{
		Spec:   func(p *v1.ValidatingAdmissionPolicy) *v1.ValidatingAdmissionPolicySpec { return &p.Spec },
		Status: func(p *v1.ValidatingAdmissionPolicy) *v1.ValidatingAdmissionPolicyStatus { return &p.Status },
	}
	rules := apis.TypedRules[*v1.ValidatingAdmissionPolicy]{
		Default: func(p *v1.ValidatingAdmissionPolicy) {
			setDefaultPtr(&p.Spec.FailurePolicy, v1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		},
		PrepareForCreate: parts.Create,
		PrepareForUpdate: parts.Update,
		PrepareForStatusUpdate: func(ctx context.Context, p, old *v1.ValidatingAdmissionPolicy) {
			metav1.ResetObjectMetaForStatus(&p.ObjectMeta, &old.ObjectMeta)
			parts.UpdateStatus(ctx, p, old)
		},
		Validate: func(_ context.Context, p *v1.ValidatingAdmissionPolicy) field.ErrorList {
			return validateValidatingPolicy(p)
		},
		ValidateUpdate: func(_ context.Context, p, _ *v1.ValidatingAdmissionPolicy) field.ErrorList {
			return validateValidatingPolicy(p)
		},
		ValidateStatusUpdate: func(context.Context, *v1.ValidatingAdmissionPolicy, *v1.ValidatingAdmissionPolicy) field.ErrorList {
			return nil
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("ValidatingAdmissionPolicy"), Plural: "validatingadmissionpolicies", Singular: "validatingadmissionpolicy", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.ValidatingAdmissionPolicy{} },
		NewList: func() runtime.Object { return &v1.ValidatingAdmissionPolicyList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Validations", "The number of validations.", func(p *v1.ValidatingAdmissionPolicy) int64 { return int64(len(p.Spec.Validations)) }),
			apis.Text("ParamKind", "The kind of its parameters.", func(p *v1.ValidatingAdmissionPolicy) string { return paramKind(p.Spec.ParamKind) }),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func mutatingPolicies() apis.Resource {
	create, update := apis.CountGenerations(func(p, old *v1.MutatingAdmissionPolicy) bool {
		return !equality.Semantic.DeepEqual(p.Spec, old.Spec)
	})
	rules := apis.TypedRules[*v1.MutatingAdmissionPolicy]{
		Default: func(p *v1.MutatingAdmissionPolicy) {
			setDefaultPtr(&p.Spec.FailurePolicy, v1.Fail)
			if p.Spec.ReinvocationPolicy == "" {
				p.Spec.ReinvocationPolicy = v1.NeverReinvocationPolicy
			}
			defaultMatch(p.Spec.MatchConstraints)
		},
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, p *v1.MutatingAdmissionPolicy) field.ErrorList {
			return validateMutatingPolicy(p)
		},
		ValidateUpdate: func(_ context.Context, p, _ *v1.MutatingAdmissionPolicy) field.ErrorList {
			return validateMutatingPolicy(p)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("MutatingAdmissionPolicy"), Plural: "mutatingadmissionpolicies", Singular: "mutatingadmissionpolicy", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.MutatingAdmissionPolicy{} },
		NewList: func() runtime.Object { return &v1.MutatingAdmissionPolicyList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Mutations", "The number of mutations.", func(p *v1.MutatingAdmissionPolicy) int64 { return int64(len(p.Spec.Mutations)) }),
			apis.Text("ParamKind", "The kind of its parameters.", func(p *v1.MutatingAdmissionPolicy) string { return paramKind(p.Spec.ParamKind) }),
			apis.AgeColumn(),
		},
	}
}

func paramKind(k *v1.ParamKind) string {
	if k == nil {
		return "<unset>"
	}
	return k.APIVersion + "/" + k.Kind
}

func defaultMatch(m *v1.MatchResources) {
	if m == nil {
		return
	}
	setDefaultPtr(&m.MatchPolicy, v1.Equivalent)
	setDefaultPtr(&m.NamespaceSelector, metav1.LabelSelector{})
	setDefaultPtr(&m.ObjectSelector, metav1.LabelSelector{})
	for _, list := range [][]v1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range list {
			setDefaultPtr(&list[i].Scope, v1.AllScopes)
		}
	}
}

func validatingPolicyBindings() apis.Resource {
	create, update := apis.CountGenerations(func(b, old *v1.ValidatingAdmissionPolicyBinding) bool {
		return !equality.Semantic.DeepEqual(b.Spec, old.Spec)
	})
	rules := apis.TypedRules[*v1.ValidatingAdmissionPolicyBinding]{
		Default:          func(b *v1.ValidatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, b *v1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			return append(validateBinding(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources), validateActions(b.Spec.ValidationActions)...)
		},
		ValidateUpdate: func(_ context.Context, b, _ *v1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			return append(validateBinding(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources), validateActions(b.Spec.ValidationActions)...)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("ValidatingAdmissionPolicyBinding"), Plural: "validatingadmissionpolicybindings", Singular: "validatingadmissionpolicybinding", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.ValidatingAdmissionPolicyBinding{} },
		NewList: func() runtime.Object { return &v1.ValidatingAdmissionPolicyBindingList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("PolicyName", "The policy bound.", func(b *v1.ValidatingAdmissionPolicyBinding) string { return b.Spec.PolicyName }),
			apis.Text("ParamRef", "The parameters.", func(b *v1.ValidatingAdmissionPolicyBinding) string { return paramRef(b.Spec.ParamRef) }),
			apis.AgeColumn(),
		},
	}
}

func mutatingPolicyBindings() apis.Resource {
	create, update := apis.CountGenerations(func(b, old *v1.MutatingAdmissionPolicyBinding) bool {
		return !equality.Semantic.DeepEqual(b.Spec, old.Spec)
	})
	rules := apis.TypedRules[*v1.MutatingAdmissionPolicyBinding]{
		Default:          func(b *v1.MutatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, b *v1.MutatingAdmissionPolicyBinding) field.ErrorList {
			return validateBinding(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
		},
		ValidateUpdate: func(_ context.Context, b, _ *v1.MutatingAdmissionPolicyBinding) field.ErrorList {
			return validateBinding(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("MutatingAdmissionPolicyBinding"), Plural: "mutatingadmissionpolicybindings", Singular: "mutatingadmissionpolicybinding", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.MutatingAdmissionPolicyBinding{} },
		NewList: func() runtime.Object { return &v1.MutatingAdmissionPolicyBindingList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("PolicyName", "The policy bound.", func(b *v1.MutatingAdmissionPolicyBinding) string { return b.Spec.PolicyName }),
			apis.Text("ParamRef", "The parameters.", func(b *v1.MutatingAdmissionPolicyBinding) string { return paramRef(b.Spec.ParamRef) }),
			apis.AgeColumn(),
		},
	}
}

func paramRef(r *v1.ParamRef) string {
	switch {
	case r == nil:
		return "<unset>"
	case r.Namespace != "" && r.Name != "":
		return r.Namespace + "/" + r.Name
	case r.Name != "":
		return "*/" + r.Name
	default:
		return metav1.FormatLabelSelector(r.Selector)
	}
}
