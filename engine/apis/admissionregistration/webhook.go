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

func validatingWebhooks() apis.Resource {
	create, update := apis.CountGenerations(func(c, old *v1.ValidatingWebhookConfiguration) bool {
		return !equality.Semantic.DeepEqual(c.Webhooks, old.Webhooks)
	})
	rules := apis.TypedRules[*v1.ValidatingWebhookConfiguration]{
		Default: func(c *v1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultValidating(&c.Webhooks[i])
			}
		},
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, c *v1.ValidatingWebhookConfiguration) field.ErrorList {
			return validateConfiguration(&c.ObjectMeta, fromValidating(c.Webhooks))
		},
		ValidateUpdate: func(_ context.Context, c, _ *v1.ValidatingWebhookConfiguration) field.ErrorList {
			return validateConfiguration(&c.ObjectMeta, fromValidating(c.Webhooks))
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("ValidatingWebhookConfiguration"), Plural: "validatingwebhookconfigurations", Singular: "validatingwebhookconfiguration", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.ValidatingWebhookConfiguration{} },
		NewList: func() runtime.Object { return &v1.ValidatingWebhookConfigurationList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Webhooks", "The number of webhooks.", func(c *v1.ValidatingWebhookConfiguration) int64 { return int64(len(c.Webhooks)) }),
			apis.AgeColumn(),
		},
	}
}

func mutatingWebhooks() apis.Resource {
	create, update := apis.CountGenerations(func(c, old *v1.MutatingWebhookConfiguration) bool {
		return !equality.Semantic.DeepEqual(c.Webhooks, old.Webhooks)
	})
	rules := apis.TypedRules[*v1.MutatingWebhookConfiguration]{
		Default: func(c *v1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultMutating(&c.Webhooks[i])
			}
		},
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, c *v1.MutatingWebhookConfiguration) field.ErrorList {
			return validateConfiguration(&c.ObjectMeta, fromMutating(c.Webhooks))
		},
		ValidateUpdate: func(_ context.Context, c, _ *v1.MutatingWebhookConfiguration) field.ErrorList {
			return validateConfiguration(&c.ObjectMeta, fromMutating(c.Webhooks))
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("MutatingWebhookConfiguration"), Plural: "mutatingwebhookconfigurations", Singular: "mutatingwebhookconfiguration", Categories: []string{"api-extensions"},
		New:     func() runtime.Object { return &v1.MutatingWebhookConfiguration{} },
		NewList: func() runtime.Object { return &v1.MutatingWebhookConfigurationList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Webhooks", "The number of webhooks.", func(c *v1.MutatingWebhookConfiguration) int64 { return int64(len(c.Webhooks)) }),
			apis.AgeColumn(),
		},
	}
}

func defaultValidating(w *v1.ValidatingWebhook) {
	setDefaultPtr(&w.FailurePolicy, v1.Fail)
	setDefaultPtr(&w.MatchPolicy, v1.Equivalent)
	setDefaultPtr(&w.NamespaceSelector, metav1.LabelSelector{})
	setDefaultPtr(&w.ObjectSelector, metav1.LabelSelector{})
	setDefaultPtr(&w.TimeoutSeconds, 10)
	defaultClient(&w.ClientConfig)
	defaultScopes(w.Rules)
}

func defaultMutating(w *v1.MutatingWebhook) {
	setDefaultPtr(&w.FailurePolicy, v1.Fail)
	setDefaultPtr(&w.MatchPolicy, v1.Equivalent)
	setDefaultPtr(&w.NamespaceSelector, metav1.LabelSelector{})
	setDefaultPtr(&w.ObjectSelector, metav1.LabelSelector{})
	setDefaultPtr(&w.TimeoutSeconds, 10)
	setDefaultPtr(&w.ReinvocationPolicy, v1.NeverReinvocationPolicy)
	defaultClient(&w.ClientConfig)
	defaultScopes(w.Rules)
}

func defaultClient(c *v1.WebhookClientConfig) {
	if c.Service != nil {
		setDefaultPtr(&c.Service.Port, 443)
	}
}

func defaultScopes(rules []v1.RuleWithOperations) {
	for i := range rules {
		setDefaultPtr(&rules[i].Scope, v1.AllScopes)
	}
}
