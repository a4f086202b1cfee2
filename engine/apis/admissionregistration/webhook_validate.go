package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/util/webhook"
)

const maxMatchConditions = 64

// hook is what webhooks of both sorts have in common.
type hook struct {
	name         string
	client       *v1.WebhookClientConfig
	rules        []v1.RuleWithOperations
	failure      *v1.FailurePolicyType
	match        *v1.MatchPolicyType
	sideEffects  *v1.SideEffectClass
	timeout      *int32
	versions     []string
	namespaces   *metav1.LabelSelector
	objects      *metav1.LabelSelector
	reinvocation *v1.ReinvocationPolicyType
	conditions   []v1.MatchCondition
}

func fromValidating(list []v1.ValidatingWebhook) []hook {
	hooks := make([]hook, len(list))
	for i := range list {
		w := &list[i]
		hooks[i] = hook{
			w.Name, &w.ClientConfig, w.Rules, w.FailurePolicy, w.MatchPolicy, w.SideEffects, w.TimeoutSeconds,
			w.AdmissionReviewVersions, w.NamespaceSelector, w.ObjectSelector, nil, w.MatchConditions,
		}
	}
	return hooks
}

func fromMutating(list []v1.MutatingWebhook) []hook {
	hooks := make([]hook, len(list))
	for i := range list {
		w := &list[i]
		hooks[i] = hook{
			w.Name, &w.ClientConfig, w.Rules, w.FailurePolicy, w.MatchPolicy, w.SideEffects, w.TimeoutSeconds,
			w.AdmissionReviewVersions, w.NamespaceSelector, w.ObjectSelector, w.ReinvocationPolicy, w.MatchConditions,
		}
	}
	return hooks
}

func validateConfiguration(m *metav1.ObjectMeta, hooks []hook) field.ErrorList {
	errs := validation.ValidateObjectMeta(m, false, validation.NameIsDNSSubdomain, metadata)
	seen := map[string]bool{}
	for i := range hooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, hooks[i].validate(at)...)
		if name := hooks[i].name; name != "" {
			if seen[name] {
				errs = append(errs, field.Duplicate(at.Child("name"), name))
			}
			seen[name] = true
		}
	}
	return errs
}

func (h *hook) validate(at *field.Path) field.ErrorList {
	errs := utilvalidation.IsFullyQualifiedName(at.Child("name"), h.name)
	for i := range h.rules {
		errs = append(errs, validateRule(&h.rules[i], true, at.Child("rules").Index(i))...)
	}
	errs = append(errs, validateFailurePolicy(h.failure, at.Child("failurePolicy"))...)
	errs = append(errs, validateMatchPolicy(h.match, at.Child("matchPolicy"))...)
	effects := []v1.SideEffectClass{v1.SideEffectClassNone, v1.SideEffectClassNoneOnDryRun}
	if h.sideEffects == nil {
		errs = append(errs, field.Required(at.Child("sideEffects"), fmt.Sprintf("must specify one of %v", joinQuoted(effects))))
	} else if !slices.Contains(effects, *h.sideEffects) {
		errs = append(errs, field.NotSupported(at.Child("sideEffects"), *h.sideEffects, effects))
	}
	if t := h.timeout; t != nil && (*t > 30 || *t < 1) {
		errs = append(errs, field.Invalid(at.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, validateReviewVersions(h.versions, at.Child("admissionReviewVersions"))...)
	errs = append(errs, metavalidation.ValidateLabelSelector(h.namespaces, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	errs = append(errs, metavalidation.ValidateLabelSelector(h.objects, metavalidation.LabelSelectorValidationOptions{}, at.Child("objectSelector"))...)
	reinvocations := []v1.ReinvocationPolicyType{v1.IfNeededReinvocationPolicy, v1.NeverReinvocationPolicy}
	if p := h.reinvocation; p != nil && !slices.Contains(reinvocations, *p) {
		errs = append(errs, field.NotSupported(at.Child("reinvocationPolicy"), *p, reinvocations))
	}
	errs = append(errs, validateClient(h.client, at.Child("clientConfig"))...)
	return append(errs, validateMatchConditions(h.conditions, at.Child("matchConditions"))...)
}

func joinQuoted[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i := range list {
		parts[i] = string(list[i])
	}
	return strings.Join(parts, ", ")
}

func validateFailurePolicy(p *v1.FailurePolicyType, at *field.Path) field.ErrorList {
	known := []v1.FailurePolicyType{v1.Fail, v1.Ignore}
	if p != nil && !slices.Contains(known, *p) {
		return field.ErrorList{field.NotSupported(at, *p, known)}
	}
	return nil
}

func validateMatchPolicy(p *v1.MatchPolicyType, at *field.Path) field.ErrorList {
	known := []v1.MatchPolicyType{v1.Equivalent, v1.Exact}
	if p != nil && !slices.Contains(known, *p) {
		return field.ErrorList{field.NotSupported(at, *p, known)}
	}
	return nil
}

func validateClient(c *v1.WebhookClientConfig, at *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(at, "exactly one of url or service is required")}
	case c.URL != nil:
		return webhook.ValidateWebhookURL(at.Child("url"), *c.URL, true)
	}
	port := int32(443)
	if c.Service.Port != nil {
		port = *c.Service.Port
	}
	return webhook.ValidateWebhookService(at.Child("service"), c.Service.Name, c.Service.Namespace, c.Service.Path, port)
}

func validateReviewVersions(versions []string, at *field.Path) field.ErrorList {
	accepted := []string{"v1", "v1beta1"}
	if len(versions) == 0 {
		return field.ErrorList{field.Required(at, fmt.Sprintf("must specify one of %v", strings.Join(accepted, ", ")))}
	}
	var errs field.ErrorList
	known := false
	for i, v := range versions {
		if slices.Contains(versions[:i], v) {
			errs = append(errs, field.Invalid(at.Index(i), v, "duplicate version"))
		}
		for _, msg := range utilvalidation.IsDNS1035Label(v) {
			errs = append(errs, field.Invalid(at.Index(i), v, msg))
		}
		known = known || slices.Contains(accepted, v)
	}
	if !known && len(errs) == 0 {
		errs = append(errs, field.Invalid(at, versions, fmt.Sprintf("must include at least one of %v", strings.Join(accepted, ", "))))
	}
	return errs
}

var operations = []v1.OperationType{v1.OperationAll, v1.Connect, v1.Create, v1.Delete, v1.Update}

// validateRule checks which requests a hook or policy asks for.
func validateRule(r *v1.RuleWithOperations, subresources bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	operationsAt := at.Child("operations")
	if len(r.Operations) == 0 {
		errs = append(errs, field.Required(operationsAt, ""))
	}
	if len(r.Operations) > 1 && slices.Contains(r.Operations, v1.OperationAll) {
		errs = append(errs, field.Invalid(operationsAt, r.Operations, "if '*' is present, must not specify other operations"))
	}
	for i, op := range r.Operations {
		if !slices.Contains(operations, op) {
			errs = append(errs, field.NotSupported(operationsAt.Index(i), op, operations))
		}
	}
	errs = append(errs, validateWildcard(r.APIGroups, "if '*' is present, must not specify other API groups", at.Child("apiGroups"))...)
	errs = append(errs, validateWildcard(r.APIVersions, "if '*' is present, must not specify other API versions", at.Child("apiVersions"))...)
	for i, v := range r.APIVersions {
		if v == "" {
			errs = append(errs, field.Required(at.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResources(r.Resources, subresources, at.Child("resources"))...)
	scopes := []v1.ScopeType{v1.AllScopes, v1.ClusterScope, v1.NamespacedScope}
	if s := r.Scope; s != nil && !slices.Contains(scopes, *s) {
		errs = append(errs, field.NotSupported(at.Child("scope"), *s, scopes))
	}
	return errs
}

func validateWildcard(list []string, text string, at *field.Path) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	if len(list) > 1 && slices.Contains(list, "*") {
		return field.ErrorList{field.Invalid(at, list, text)}
	}
	return nil
}

func validateResources(list []string, subresources bool, at *field.Path) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	withWildcard := map[string]bool{}
	for i, r := range list {
		if r == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		resource, sub, found := strings.Cut(r, "/")
		if found && !subresources {
			errs = append(errs, field.Invalid(at.Index(i), r, "must not specify subresources"))
		}
		if found && withWildcard[resource] {
			errs = append(errs, field.Invalid(at.Index(i), r, fmt.Sprintf("if '%s/*' is present, must not specify %s", resource, r)))
		}
		if found && sub == "*" {
			withWildcard[resource] = true
		}
	}
	if len(list) > 1 && slices.Contains(list, "*/*") {
		errs = append(errs, field.Invalid(at, list, "if '*/*' is present, must not specify other resources"))
	}
	return errs
}

func validateMatchConditions(conditions []v1.MatchCondition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(conditions) > maxMatchConditions {
		errs = append(errs, field.TooMany(at, len(conditions), maxMatchConditions))
	}
	names := map[string]bool{}
	for i, c := range conditions {
		cAt := at.Index(i)
		if strings.TrimSpace(c.Expression) == "" {
			errs = append(errs, field.Required(cAt.Child("expression"), ""))
		} else {
			errs = append(errs, compileCondition(c.Expression, cAt.Child("expression"))...)
		}
		if c.Name == "" {
			errs = append(errs, field.Required(cAt.Child("name"), ""))
			continue
		}
		for _, msg := range utilvalidation.IsQualifiedName(c.Name) {
			errs = append(errs, field.Invalid(cAt.Child("name"), c.Name, msg))
		}
		if names[c.Name] {
			errs = append(errs, field.Duplicate(cAt.Child("name"), c.Name))
		}
		names[c.Name] = true
	}
	return errs
}
