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
