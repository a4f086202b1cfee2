package flowcontrol

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	defaultPrecedence = 1000
	maxPrecedence     = 10000
)

func flowSchemas() apis.Resource {
	parts := apis.Parts[*v1.FlowSchema, v1.FlowSchemaSpec, v1.FlowSchemaStatus]{
		Spec:   func(s *v1.FlowSchema) *v1.FlowSchemaSpec { return &s.Spec },
		Status: func(s *v1.FlowSchema) *v1.FlowSchemaStatus { return &s.Status },
	}
	rules := apis.TypedRules[*v1.FlowSchema]{
		Default: func(s *v1.FlowSchema) {
			if s.Spec.MatchingPrecedence == 0 {
				s.Spec.MatchingPrecedence = defaultPrecedence
			}
		},
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               func(_ context.Context, s *v1.FlowSchema) field.ErrorList { return validateFlowSchema(s) },
		ValidateUpdate:         func(_ context.Context, s, _ *v1.FlowSchema) field.ErrorList { return validateFlowSchema(s) },
		ValidateStatusUpdate: func(_ context.Context, s, old *v1.FlowSchema) field.ErrorList {
			return apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("FlowSchema"), Plural: "flowschemas", Singular: "flowschema",
		New:     func() runtime.Object { return &v1.FlowSchema{} },
		NewList: func() runtime.Object { return &v1.FlowSchemaList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("PriorityLevel", "The level that matching requests run at.", func(s *v1.FlowSchema) string { return s.Spec.PriorityLevelConfiguration.Name }),
			apis.Number("MatchingPrecedence", "The order in which schemas are tried.", func(s *v1.FlowSchema) int64 { return int64(s.Spec.MatchingPrecedence) }).AsText(),
			apis.Text("DistinguisherMethod", "What tells flows apart.", func(s *v1.FlowSchema) string {
				if s.Spec.DistinguisherMethod == nil {
					return "<none>"
				}
				return string(s.Spec.DistinguisherMethod.Type)
			}),
			apis.AgeColumn(),
			apis.Text("MissingPL", "Whether the level does not exist.", func(s *v1.FlowSchema) string {
				for _, c := range s.Status.Conditions {
					if c.Type == v1.FlowSchemaConditionDangling {
						return string(c.Status)
					}
				}
				return "?"
			}),
		},
		HasStatus: true,
	}
}

func validateFlowSchema(s *v1.FlowSchema) field.ErrorList {
	spec := &s.Spec
	errs := apis.ValidateMeta(&s.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	at := specPath.Child("matchingPrecedence")
	switch p := spec.MatchingPrecedence; {
	case p <= 0:
		errs = append(errs, field.Invalid(at, p, "must be a positive value"))
	case p > maxPrecedence:
		errs = append(errs, field.Invalid(at, p, fmt.Sprintf("must not be greater than %v", maxPrecedence)))
	case p == 1 && s.Name != v1.FlowSchemaNameExempt:
		errs = append(errs, field.Invalid(at, p, "only the schema named 'exempt' may have matchingPrecedence 1"))
	}
	methods := []v1.FlowDistinguisherMethodType{v1.FlowDistinguisherMethodByNamespaceType, v1.FlowDistinguisherMethodByUserType}
	if d := spec.DistinguisherMethod; d != nil && !slices.Contains(methods, d.Type) {
		errs = append(errs, field.NotSupported(specPath.Child("distinguisherMethod"), d, []string{string(methods[0]), string(methods[1])}))
	}
	levelAt := specPath.Child("priorityLevelConfiguration", "name")
	if name := spec.PriorityLevelConfiguration.Name; name == "" {
		errs = append(errs, field.Required(levelAt, "must reference a priority level"))
	} else {
		for _, msg := range validation.NameIsDNSSubdomain(name, false) {
			errs = append(errs, field.Invalid(levelAt, name, msg))
		}
	}
	for i := range spec.Rules {
		errs = append(errs, validateRule(&spec.Rules[i], specPath.Child("rules").Index(i))...)
	}
	return errs
}

func validateRule(r *v1.PolicyRulesWithSubjects, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateSubject(&r.Subjects[i], at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i := range r.ResourceRules {
		rule, ruleAt := &r.ResourceRules[i], at.Child("resourceRules").Index(i)
		errs = append(errs, requireSome(rule.Verbs, "verbs must contain at least one value", ruleAt.Child("verbs"))...)
		errs = append(errs, requireSome(rule.APIGroups, "resource rules must supply at least one api group", ruleAt.Child("apiGroups"))...)
		errs = append(errs, requireSome(rule.Resources, "resource rules must supply at least one resource", ruleAt.Child("resources"))...)
		if len(rule.Namespaces) == 0 && !rule.ClusterScope {
			errs = append(errs, field.Required(ruleAt.Child("namespaces"), "resource rules that are not cluster scoped must supply at least one namespace"))
		}
	}
	for i := range r.NonResourceRules {
		rule, ruleAt := &r.NonResourceRules[i], at.Child("nonResourceRules").Index(i)
		errs = append(errs, requireSome(rule.Verbs, "verbs must contain at least one value", ruleAt.Child("verbs"))...)
		errs = append(errs, requireSome(rule.NonResourceURLs, "nonResourceURLs must contain at least one value", ruleAt.Child("nonResourceURLs"))...)
	}
	return errs
}

func requireSome(list []string, text string, at *field.Path) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(at, text)}
	}
	if len(list) > 1 && slices.Contains(list, "*") {
		return field.ErrorList{field.Invalid(at, list, "if '*' is present, must not specify others")}
	}
	return nil
}

// validateSubject asks for exactly the part that the kind names.
func validateSubject(s *v1.Subject, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	parts := []struct {
		kind v1.SubjectKind
		name string
		set  bool
	}{
		{v1.SubjectKindUser, "user", s.User != nil},
		{v1.SubjectKindGroup, "group", s.Group != nil},
		{v1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil},
	}
	known := false
	for _, p := range parts {
		known = known || p.kind == s.Kind
		switch {
		case p.kind == s.Kind && !p.set:
			errs = append(errs, field.Required(at.Child(p.name), fmt.Sprintf("%s is required when subject kind is '%s'", p.name, s.Kind)))
		case p.kind != s.Kind && p.set:
			errs = append(errs, field.Forbidden(at.Child(p.name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", p.name, p.kind)))
		}
	}
	if !known {
		errs = append(errs, field.NotSupported(at.Child("kind"), s.Kind, []v1.SubjectKind{v1.SubjectKindGroup, v1.SubjectKindServiceAccount, v1.SubjectKindUser}))
	}
	return errs
}
