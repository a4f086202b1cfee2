package flowcontrol

import (
	"context"
	"fmt"

	v1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	defaultShares           = 30
	defaultQueues           = 64
	defaultHandSize         = 8
	defaultQueueLengthLimit = 50
)

func priorityLevels() apis.Resource {
	parts := apis.Parts[*v1.PriorityLevelConfiguration, v1.PriorityLevelConfigurationSpec, v1.PriorityLevelConfigurationStatus]{
		Spec:   func(l *v1.PriorityLevelConfiguration) *v1.PriorityLevelConfigurationSpec { return &l.Spec },
		Status: func(l *v1.PriorityLevelConfiguration) *v1.PriorityLevelConfigurationStatus { return &l.Status },
	}
	rules := apis.TypedRules[*v1.PriorityLevelConfiguration]{
		Default:                defaultLevel,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               func(_ context.Context, l *v1.PriorityLevelConfiguration) field.ErrorList { return validateLevel(l) },
		ValidateUpdate:         func(_ context.Context, l, _ *v1.PriorityLevelConfiguration) field.ErrorList { return validateLevel(l) },
		ValidateStatusUpdate: func(_ context.Context, l, old *v1.PriorityLevelConfiguration) field.ErrorList {
			return apis.ValidateMetaUpdate(&l.ObjectMeta, &old.ObjectMeta, metadata)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("PriorityLevelConfiguration"), Plural: "prioritylevelconfigurations", Singular: "prioritylevelconfiguration",
		New:     func() runtime.Object { return &v1.PriorityLevelConfiguration{} },
		NewList: func() runtime.Object { return &v1.PriorityLevelConfigurationList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Type", "Limited or Exempt.", func(l *v1.PriorityLevelConfiguration) string { return string(l.Spec.Type) }),
			levelNumber("NominalConcurrencyShares", "The share of requests served at once.", func(l *v1.PriorityLevelConfiguration) *int32 {
				switch {
				case l.Spec.Limited != nil:
					return l.Spec.Limited.NominalConcurrencyShares
				case l.Spec.Exempt != nil:
					return l.Spec.Exempt.NominalConcurrencyShares
				}
				return nil
			}),
			levelNumber("Queues", "The number of queues.", queuing(func(q *v1.QueuingConfiguration) *int32 { return &q.Queues })),
			levelNumber("HandSize", "The queues that one flow is dealt.", queuing(func(q *v1.QueuingConfiguration) *int32 { return &q.HandSize })),
			levelNumber("QueueLengthLimit", "The longest queue.", queuing(func(q *v1.QueuingConfiguration) *int32 { return &q.QueueLengthLimit })),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func levelNumber(name, description string, of func(*v1.PriorityLevelConfiguration) *int32) apis.Column {
	return apis.Column{Name: name, Type: "string", Description: description, Cell: func(obj runtime.Object) any {
		if n := of(obj.(*v1.PriorityLevelConfiguration)); n != nil {
			return int64(*n)
		}
		return "<none>"
	}}
}

func queuing(part func(*v1.QueuingConfiguration) *int32) func(*v1.PriorityLevelConfiguration) *int32 {
	return func(l *v1.PriorityLevelConfiguration) *int32 {
		if l.Spec.Limited == nil || l.Spec.Limited.LimitResponse.Queuing == nil {
			return nil
		}
		return part(l.Spec.Limited.LimitResponse.Queuing)
	}
}

func defaultLevel(l *v1.PriorityLevelConfiguration) {
	if e := l.Spec.Exempt; e != nil {
		setDefaultPtr(&e.NominalConcurrencyShares, 0)
		setDefaultPtr(&e.LendablePercent, 0)
	} else if l.Spec.Type == v1.PriorityLevelEnablementExempt {
		zero, none := int32(0), int32(0)
		l.Spec.Exempt = &v1.ExemptPriorityLevelConfiguration{NominalConcurrencyShares: &zero, LendablePercent: &none}
	}
	limited := l.Spec.Limited
	if limited == nil {
		return
	}
	setDefaultPtr(&limited.NominalConcurrencyShares, defaultShares)
	setDefaultPtr(&limited.LendablePercent, 0)
	if q := limited.LimitResponse.Queuing; q != nil {
		for _, f := range []struct {
			field *int32
			value int32
		}{
			{&q.HandSize, defaultHandSize}, {&q.Queues, defaultQueues},
			{&q.QueueLengthLimit, defaultQueueLengthLimit},
		} {
			if *f.field == 0 {
				*f.field = f.value
			}
		}
	}
}

func validateLevel(l *v1.PriorityLevelConfiguration) field.ErrorList {
	errs := apis.ValidateMeta(&l.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	exempt := l.Name == v1.PriorityLevelConfigurationNameExempt
	if exempt != (l.Spec.Type == v1.PriorityLevelEnablementExempt) {
		errs = append(errs, field.Invalid(specPath.Child("type"), l.Spec.Type, "type must be 'Exempt' if and only if name is 'exempt'"))
	}
	limitedAt, exemptAt := specPath.Child("limited"), specPath.Child("exempt")
	switch l.Spec.Type {
	case v1.PriorityLevelEnablementExempt:
		if l.Spec.Limited != nil {
			errs = append(errs, field.Forbidden(limitedAt, "must be nil if the type is not Limited"))
		}
		if e := l.Spec.Exempt; e != nil {
			errs = append(errs, validateShares(e.NominalConcurrencyShares, 0, exemptAt.Child("nominalConcurrencyShares"))...)
			errs = append(errs, validatePercent(e.LendablePercent, exemptAt.Child("lendablePercent"))...)
		}
	case v1.PriorityLevelEnablementLimited:
		if l.Spec.Exempt != nil {
			errs = append(errs, field.Forbidden(exemptAt, "must be nil if the type is Limited"))
		}
		if l.Spec.Limited == nil {
			return append(errs, field.Required(limitedAt, "must not be empty when type is Limited"))
		}
		errs = append(errs, validateLimited(l.Spec.Limited, limitedAt)...)
	default:
		errs = append(errs, field.NotSupported(specPath.Child("type"), l.Spec.Type, []v1.PriorityLevelEnablement{v1.PriorityLevelEnablementExempt, v1.PriorityLevelEnablementLimited}))
	}
	return errs
}

func validateShares(shares *int32, least int32, at *field.Path) field.ErrorList {
	if shares != nil && *shares < least {
		return field.ErrorList{field.Invalid(at, *shares, "must be a non-negative integer")}
	}
	return nil
}

func validatePercent(p *int32, at *field.Path) field.ErrorList {
	if p != nil && (*p < 0 || *p > 100) {
		return field.ErrorList{field.Invalid(at, *p, "must be between 0 and 100, inclusive")}
	}
	return nil
}

func validateLimited(c *v1.LimitedPriorityLevelConfiguration, at *field.Path) field.ErrorList {
	errs := validateShares(c.NominalConcurrencyShares, 0, at.Child("nominalConcurrencyShares"))
	errs = append(errs, validatePercent(c.LendablePercent, at.Child("lendablePercent"))...)
	if b := c.BorrowingLimitPercent; b != nil && *b < 0 {
		errs = append(errs, field.Invalid(at.Child("borrowingLimitPercent"), *b, "if specified, must be a non-negative integer"))
	}
	responseAt := at.Child("limitResponse")
	q := c.LimitResponse.Queuing
	switch c.LimitResponse.Type {
	case v1.LimitResponseTypeReject:
		if q != nil {
			errs = append(errs, field.Forbidden(responseAt.Child("queuing"), "must be nil if limited.limitResponse.type is not Limited"))
		}
	case v1.LimitResponseTypeQueue:
		if q == nil {
			return append(errs, field.Required(responseAt.Child("queuing"), "must not be empty if limited.limitResponse.type is Limited"))
		}
		errs = append(errs, validateQueuing(q, responseAt.Child("queuing"))...)
	default:
		errs = append(errs, field.NotSupported(responseAt.Child("type"), c.LimitResponse.Type, []v1.LimitResponseType{v1.LimitResponseTypeQueue, v1.LimitResponseTypeReject}))
	}
	return errs
}

func validateQueuing(q *v1.QueuingConfiguration, at *field.Path) field.ErrorList {
	const maxQueues = 10_000_000
	var errs field.ErrorList
	if q.QueueLengthLimit <= 0 {
		errs = append(errs, field.Invalid(at.Child("queueLengthLimit"), q.QueueLengthLimit, "must be positive"))
	}
	if q.Queues <= 0 {
		errs = append(errs, field.Invalid(at.Child("queues"), q.Queues, "must be positive"))
	} else if q.Queues > maxQueues {
		errs = append(errs, field.Invalid(at.Child("queues"), q.Queues, fmt.Sprintf("must not be greater than %d", maxQueues)))
	}
	if q.HandSize <= 0 {
		errs = append(errs, field.Invalid(at.Child("handSize"), q.HandSize, "must be positive"))
	} else if q.HandSize > q.Queues {
		errs = append(errs, field.Invalid(at.Child("handSize"), q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues)))
	}
	return errs
}
