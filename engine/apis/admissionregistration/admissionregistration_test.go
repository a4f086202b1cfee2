package admissionregistration

import (
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func rule() v1.RuleWithOperations {
	return v1.RuleWithOperations{Operations: []v1.OperationType{v1.Create}, Rule: v1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}}}
}

func TestWebhooks(t *testing.T) {
	base := func() *v1.ValidatingWebhookConfiguration {
		return &v1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Webhooks: []v1.ValidatingWebhook{{
			Name: "a.example.com", ClientConfig: v1.WebhookClientConfig{URL: ptr.To("https://example.com/a")}, Rules: []v1.RuleWithOperations{rule()},
			SideEffects: ptr.To(v1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}}}
	}
	type configuration = v1.ValidatingWebhookConfiguration
	apistest.RunCreate(t, validatingWebhooks(), base, map[string]apistest.Case[*configuration]{
		"name":         {Change: func(c *configuration) { c.Webhooks[0].Name = "a" }, Want: []string{"webhooks[0].name: Invalid value"}},
		"same name":    {Change: func(c *configuration) { c.Webhooks = append(c.Webhooks, c.Webhooks[0]) }, Want: []string{"webhooks[1].name: Duplicate value"}},
		"plain url":    {Change: func(c *configuration) { c.Webhooks[0].ClientConfig.URL = ptr.To("http://a") }, Want: []string{"webhooks[0].clientConfig.url: Invalid value"}},
		"no client":    {Change: func(c *configuration) { c.Webhooks[0].ClientConfig.URL = nil }, Want: []string{"webhooks[0].clientConfig: Required value"}},
		"side effects": {Change: func(c *configuration) { c.Webhooks[0].SideEffects = nil }, Want: []string{"webhooks[0].sideEffects: Required value"}},
		"timeout":      {Change: func(c *configuration) { c.Webhooks[0].TimeoutSeconds = ptr.To(int32(31)) }, Want: []string{"webhooks[0].timeoutSeconds: Invalid value"}},
		"versions":     {Change: func(c *configuration) { c.Webhooks[0].AdmissionReviewVersions = []string{"v2"} }, Want: []string{"webhooks[0].admissionReviewVersions: Invalid value"}},
		"operations":   {Change: func(c *configuration) { c.Webhooks[0].Rules[0].Operations = []v1.OperationType{"*", "CREATE"} }, Want: []string{"webhooks[0].rules[0].operations: Invalid value"}},
		"condition": {Change: func(c *configuration) {
			c.Webhooks[0].MatchConditions = []v1.MatchCondition{{Name: "a", Expression: "1 +"}}
		}, Want: []string{"webhooks[0].matchConditions[0].expression: Invalid value"}},
	})
	c := base()
	defaultValidating(&c.Webhooks[0])
	if w := c.Webhooks[0]; *w.FailurePolicy != v1.Fail || *w.MatchPolicy != v1.Equivalent || *w.TimeoutSeconds != 10 || *w.Rules[0].Scope != v1.AllScopes {
		t.Errorf("defaults: %+v", w)
	}
}

func TestPolicies(t *testing.T) {
	match := &v1.MatchResources{ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: rule()}}}
	validating := func() *v1.ValidatingAdmissionPolicy {
		return &v1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1.ValidatingAdmissionPolicySpec{
			MatchConstraints: match.DeepCopy(), Variables: []v1.Variable{{Name: "n", Expression: "object.spec.replicas"}},
			Validations: []v1.Validation{{Expression: "variables.n <= 5"}},
		}}
	}
	apistest.RunCreate(t, validatingPolicies(), validating, map[string]apistest.Case[*v1.ValidatingAdmissionPolicy]{
		"no match":   {Change: func(p *v1.ValidatingAdmissionPolicy) { p.Spec.MatchConstraints = nil }, Want: []string{"spec.matchConstraints: Required value"}},
		"nothing":    {Change: func(p *v1.ValidatingAdmissionPolicy) { p.Spec.Validations = nil }, Want: []string{"spec.validations: Required value"}},
		"expression": {Change: func(p *v1.ValidatingAdmissionPolicy) { p.Spec.Validations[0].Expression = "1 + 1" }, Want: []string{"spec.validations[0].expression: Invalid value"}},
		"variable":   {Change: func(p *v1.ValidatingAdmissionPolicy) { p.Spec.Variables[0].Name = "a-b" }, Want: []string{"spec.variables[0].name: Invalid value", "spec.validations[0].expression: Invalid value"}},
		"params":     {Change: func(p *v1.ValidatingAdmissionPolicy) { p.Spec.Validations[0].Expression = "params.x == 1" }, Want: []string{"spec.validations[0].expression: Invalid value"}},
		"params kind": {Change: func(p *v1.ValidatingAdmissionPolicy) {
			p.Spec.ParamKind = &v1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
			p.Spec.Validations[0].Expression = "params.x == 1"
		}},
	})
	mutating := func() *v1.MutatingAdmissionPolicy {
		return &v1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1.MutatingAdmissionPolicySpec{
			MatchConstraints: match.DeepCopy(),
			Mutations:        []v1.Mutation{{PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: `Object{}`}}},
		}}
	}
	apistest.RunCreate(t, mutatingPolicies(), mutating, map[string]apistest.Case[*v1.MutatingAdmissionPolicy]{
		"type":  {Change: func(p *v1.MutatingAdmissionPolicy) { p.Spec.Mutations[0].PatchType = "Magic" }, Want: []string{"spec.mutations[0].patchType: Unsupported value"}},
		"other": {Change: func(p *v1.MutatingAdmissionPolicy) { p.Spec.Mutations[0].PatchType = v1.PatchTypeJSONPatch }, Want: []string{"spec.mutations[0].applyConfiguration: Forbidden"}},
	})
	binding := func() *v1.ValidatingAdmissionPolicyBinding {
		return &v1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: v1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "p", ValidationActions: []v1.ValidationAction{v1.Deny},
		}}
	}
	apistest.RunCreate(t, validatingPolicyBindings(), binding, map[string]apistest.Case[*v1.ValidatingAdmissionPolicyBinding]{
		"policy": {Change: func(b *v1.ValidatingAdmissionPolicyBinding) { b.Spec.PolicyName = "" }, Want: []string{"spec.policyName: Required value"}},
		"deny and warn": {Change: func(b *v1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = append(b.Spec.ValidationActions, v1.Warn)
		}, Want: []string{"spec.validationActions: Invalid value"}},
	})
}
