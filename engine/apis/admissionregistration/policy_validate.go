package admissionregistration

import (
	"regexp"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
)

const maxAuditAnnotations = 20

var celIdentifier = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

func validateValidatingPolicy(p *v1.ValidatingAdmissionPolicy) field.ErrorList {
	spec := &p.Spec
	errs := validation.ValidateObjectMeta(&p.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateFailurePolicy(spec.FailurePolicy, specPath.Child("failurePolicy"))...)
	errs = append(errs, validateParamKind(spec.ParamKind, specPath.Child("paramKind"))...)
	errs = append(errs, requireMatch(spec.MatchConstraints, specPath.Child("matchConstraints"))...)
	c, err := newPolicyCompiler(spec.ParamKind != nil)
	if err != nil {
		return append(errs, field.InternalError(specPath, err))
	}
	errs = append(errs, c.variables(spec.Variables, specPath.Child("variables"))...)
	errs = append(errs, c.conditions(spec.MatchConditions, specPath.Child("matchConditions"))...)
	if len(spec.Validations) == 0 && len(spec.AuditAnnotations) == 0 {
		errs = append(errs, field.Required(specPath.Child("validations"), "validations or auditAnnotations must be non-empty; at least one must be specified"))
	}
	for i := range spec.Validations {
		errs = append(errs, c.validation(&spec.Validations[i], specPath.Child("validations").Index(i))...)
	}
	at := specPath.Child("auditAnnotations")
	if n := len(spec.AuditAnnotations); n > maxAuditAnnotations {
		errs = append(errs, field.Invalid(at, spec.AuditAnnotations, "must not have more than 20 auditAnnotations"))
	}
	keys := sets.New[string]()
	for i := range spec.AuditAnnotations {
		a := &spec.AuditAnnotations[i]
		errs = append(errs, c.annotation(p.Name, a, at.Index(i))...)
		if keys.Has(a.Key) {
			errs = append(errs, field.Duplicate(at.Index(i).Child("key"), a.Key))
		}
		keys.Insert(a.Key)
	}
	return errs
}

func (c *policyCompiler) validation(v *v1.Validation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	expression := strings.TrimSpace(v.Expression)
	if expression == "" {
		errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, c.check(&validating.ValidationCondition{Expression: expression, Message: v.Message, Reason: v.Reason}, at.Child("expression"))...)
	}
	switch message := strings.TrimSpace(v.Message); {
	case v.Message != "" && message == "":
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "message must be non-empty if specified"))
	case strings.Contains(message, "\n"):
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "message must not contain line breaks"))
	case message == "" && strings.Contains(expression, "\n"):
		errs = append(errs, field.Required(at.Child("message"), "message must be specified if expression contains line breaks"))
	}
	if m := strings.TrimSpace(v.MessageExpression); m != "" {
		errs = append(errs, c.check(&validating.MessageExpressionCondition{MessageExpression: m}, at.Child("messageExpression"))...)
	} else if v.MessageExpression != "" {
		errs = append(errs, field.Invalid(at.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	}
	reasons := []metav1.StatusReason{metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnauthorized}
	if v.Reason != nil && !slices.Contains(reasons, *v.Reason) {
		errs = append(errs, field.NotSupported(at.Child("reason"), *v.Reason, reasons))
	}
	return errs
}

func (c *policyCompiler) annotation(policy string, a *v1.AuditAnnotation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if a.Key == "" {
		errs = append(errs, field.Required(at.Child("key"), ""))
	} else {
		for _, msg := range utilvalidation.IsQualifiedName(policy + "/" + a.Key) {
			errs = append(errs, field.Invalid(at.Child("key"), a.Key, msg))
		}
	}
	expression := strings.TrimSpace(a.ValueExpression)
	if expression == "" {
		return append(errs, field.Required(at.Child("valueExpression"), "valueExpression is not specified"))
	}
	return append(errs, c.check(&validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: expression}, at.Child("valueExpression"))...)
}

func (c *policyCompiler) variables(list []v1.Variable, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range list {
		v, vAt := &list[i], at.Index(i)
		switch {
		case v.Name == "":
			errs = append(errs, field.Required(vAt.Child("name"), "name is not specified"))
		case !celIdentifier.MatchString(v.Name):
			errs = append(errs, field.Invalid(vAt.Child("name"), v.Name, "name is not a valid CEL identifier"))
		case names.Has(v.Name):
			errs = append(errs, field.Duplicate(vAt.Child("name"), v.Name))
		}
		names.Insert(v.Name)
		if strings.TrimSpace(v.Expression) == "" {
			errs = append(errs, field.Required(vAt.Child("expression"), "expression is not specified"))
			continue
		}
		errs = append(errs, c.variable(&validating.Variable{Name: v.Name, Expression: v.Expression}, vAt.Child("expression"))...)
	}
	return errs
}

func (c *policyCompiler) conditions(list []v1.MatchCondition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(list) > maxMatchConditions {
		errs = append(errs, field.TooMany(at, len(list), maxMatchConditions))
	}
	names := sets.New[string]()
	for i, m := range list {
		if strings.TrimSpace(m.Expression) == "" {
			errs = append(errs, field.Required(at.Index(i).Child("expression"), ""))
		} else {
			errs = append(errs, c.check(&matchconditions.MatchCondition{Name: m.Name, Expression: m.Expression}, at.Index(i).Child("expression"))...)
		}
		if m.Name == "" {
			errs = append(errs, field.Required(at.Index(i).Child("name"), ""))
		} else if names.Has(m.Name) {
			errs = append(errs, field.Duplicate(at.Index(i).Child("name"), m.Name))
		}
		names.Insert(m.Name)
	}
	return errs
}

func validateMutatingPolicy(p *v1.MutatingAdmissionPolicy) field.ErrorList {
	spec := &p.Spec
	errs := validation.ValidateObjectMeta(&p.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateFailurePolicy(spec.FailurePolicy, specPath.Child("failurePolicy"))...)
	errs = append(errs, validateParamKind(spec.ParamKind, specPath.Child("paramKind"))...)
	errs = append(errs, requireMatch(spec.MatchConstraints, specPath.Child("matchConstraints"))...)
	reinvocations := []v1.ReinvocationPolicyType{v1.IfNeededReinvocationPolicy, v1.NeverReinvocationPolicy}
	if !slices.Contains(reinvocations, spec.ReinvocationPolicy) {
		errs = append(errs, field.NotSupported(specPath.Child("reinvocationPolicy"), spec.ReinvocationPolicy, reinvocations))
	}
	c, err := newPolicyCompiler(spec.ParamKind != nil)
	if err != nil {
		return append(errs, field.InternalError(specPath, err))
	}
	c.options.HasPatchTypes = true
	errs = append(errs, c.variables(spec.Variables, specPath.Child("variables"))...)
	errs = append(errs, c.conditions(spec.MatchConditions, specPath.Child("matchConditions"))...)
	at := specPath.Child("mutations")
	if len(spec.Mutations) == 0 {
		errs = append(errs, field.Required(at, "mutations must contain at least one item"))
	}
	for i := range spec.Mutations {
		errs = append(errs, c.mutation(&spec.Mutations[i], at.Index(i))...)
	}
	return errs
}

// mutation asks for exactly the patch that its type names.
func (c *policyCompiler) mutation(m *v1.Mutation, at *field.Path) field.ErrorList {
	switch m.PatchType {
	case v1.PatchTypeApplyConfiguration:
		if m.JSONPatch != nil {
			return field.ErrorList{field.Forbidden(at.Child("jsonPatch"), "may not be specified when patchType is ApplyConfiguration")}
		}
		if m.ApplyConfiguration == nil || strings.TrimSpace(m.ApplyConfiguration.Expression) == "" {
			return field.ErrorList{field.Required(at.Child("applyConfiguration"), "applyConfiguration is required")}
		}
		return c.check(&patch.ApplyConfigurationCondition{Expression: m.ApplyConfiguration.Expression}, at.Child("applyConfiguration", "expression"))
	case v1.PatchTypeJSONPatch:
		if m.ApplyConfiguration != nil {
			return field.ErrorList{field.Forbidden(at.Child("applyConfiguration"), "may not be specified when patchType is JSONPatch")}
		}
		if m.JSONPatch == nil || strings.TrimSpace(m.JSONPatch.Expression) == "" {
			return field.ErrorList{field.Required(at.Child("jsonPatch"), "jsonPatch is required")}
		}
		return c.check(&patch.JSONPatchCondition{Expression: m.JSONPatch.Expression}, at.Child("jsonPatch", "expression"))
	case "":
		return field.ErrorList{field.Required(at.Child("patchType"), "")}
	}
	return field.ErrorList{field.NotSupported(at.Child("patchType"), m.PatchType, []v1.PatchType{v1.PatchTypeApplyConfiguration, v1.PatchTypeJSONPatch})}
}

func validateParamKind(k *v1.ParamKind, at *field.Path) field.ErrorList {
	if k == nil {
		return nil
	}
	var errs field.ErrorList
	if k.APIVersion == "" {
		errs = append(errs, field.Required(at.Child("apiVersion"), ""))
	} else if gv, err := schema.ParseGroupVersion(k.APIVersion); err != nil {
		errs = append(errs, field.Invalid(at.Child("apiVersion"), k.APIVersion, err.Error()))
	} else {
		for _, msg := range utilvalidation.IsDNS1035Label(gv.Version) {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), gv.Version, msg))
		}
	}
	if k.Kind == "" {
		return append(errs, field.Required(at.Child("kind"), ""))
	}
	for _, msg := range utilvalidation.IsDNS1035Label(strings.ToLower(k.Kind)) {
		errs = append(errs, field.Invalid(at.Child("kind"), k.Kind, "may have mixed case, but should otherwise match: "+msg))
	}
	return errs
}

func requireMatch(m *v1.MatchResources, at *field.Path) field.ErrorList {
	if m == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	errs := validateMatch(m, at)
	if len(m.ResourceRules) == 0 {
		errs = append(errs, field.Required(at.Child("resourceRules"), ""))
	}
	return errs
}

func validateMatch(m *v1.MatchResources, at *field.Path) field.ErrorList {
	if m == nil {
		return nil
	}
	errs := validateMatchPolicy(m.MatchPolicy, at.Child("matchPolicy"))
	errs = append(errs, metavalidation.ValidateLabelSelector(m.NamespaceSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	errs = append(errs, metavalidation.ValidateLabelSelector(m.ObjectSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("objectSelector"))...)
	for i := range m.ResourceRules {
		errs = append(errs, validateRule(&m.ResourceRules[i].RuleWithOperations, true, at.Child("resourceRules").Index(i))...)
	}
	for i := range m.ExcludeResourceRules {
		errs = append(errs, validateRule(&m.ExcludeResourceRules[i].RuleWithOperations, true, at.Child("excludeResourceRules").Index(i))...)
	}
	return errs
}

func validateBinding(m *metav1.ObjectMeta, policy string, ref *v1.ParamRef, match *v1.MatchResources) field.ErrorList {
	errs := validation.ValidateObjectMeta(m, false, validation.NameIsDNSSubdomain, metadata)
	nameAt := specPath.Child("policyName")
	if policy == "" {
		errs = append(errs, field.Required(nameAt, ""))
	} else {
		for _, msg := range validation.NameIsDNSSubdomain(policy, false) {
			errs = append(errs, field.Invalid(nameAt, policy, msg))
		}
	}
	errs = append(errs, validateParamRef(ref, specPath.Child("paramRef"))...)
	return append(errs, validateMatch(match, specPath.Child("matchResources"))...)
}

func validateParamRef(r *v1.ParamRef, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	const exclusive = "name and selector are mutually exclusive"
	both := r.Name != "" && r.Selector != nil
	if r.Name != "" {
		for _, msg := range content.IsPathSegmentName(r.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), r.Name, msg))
		}
	}
	if both {
		errs = append(errs, field.Forbidden(at.Child("name"), exclusive))
	}
	errs = append(errs, metavalidation.ValidateLabelSelector(r.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	if both {
		errs = append(errs, field.Forbidden(at.Child("selector"), exclusive))
	}
	if r.Name == "" && r.Selector == nil {
		errs = append(errs, field.Required(at, "one of name or selector must be specified"))
	}
	actions := []v1.ParameterNotFoundActionType{v1.DenyAction, v1.AllowAction}
	if a := r.ParameterNotFoundAction; a == nil || *a == "" {
		errs = append(errs, field.Required(at.Child("parameterNotFoundAction"), ""))
	} else if !slices.Contains(actions, *a) {
		errs = append(errs, field.NotSupported(at.Child("parameterNotFoundAction"), *a, actions))
	}
	return errs
}

func validateActions(actions []v1.ValidationAction) field.ErrorList {
	at := specPath.Child("validationActions")
	if len(actions) == 0 {
		return field.ErrorList{field.Required(at, "at least one validation action is required")}
	}
	known := []v1.ValidationAction{v1.Audit, v1.Deny, v1.Warn}
	var errs field.ErrorList
	for i, a := range actions {
		if !slices.Contains(known, a) {
			errs = append(errs, field.NotSupported(at.Index(i), a, known))
		}
		if slices.Contains(actions[:i], a) {
			errs = append(errs, field.Duplicate(at.Index(i), a))
		}
	}
	if slices.Contains(actions, v1.Deny) && slices.Contains(actions, v1.Warn) {
		errs = append(errs, field.Invalid(at, actions, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}
