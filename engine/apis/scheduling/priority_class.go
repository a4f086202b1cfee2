package scheduling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	systemPrefix       = "system-"
	highestUserDefined = 1_000_000_000
)

// systemClasses are the reserved classes and their values.
var systemClasses = map[string]int32{
	"system-cluster-critical": 2 * highestUserDefined,
	"system-node-critical":    2*highestUserDefined + 1000,
}

func priorityClasses() apis.Resource {
	rules := apis.TypedRules[*schedulingv1.PriorityClass]{
		Default: func(c *schedulingv1.PriorityClass) {
			if c.PreemptionPolicy == nil {
				c.PreemptionPolicy = ptr.To(corev1.PreemptLowerPriority)
			}
		},
		PrepareForCreate: func(_ context.Context, c *schedulingv1.PriorityClass) { c.Generation = 1 },
		PrepareForUpdate: func(context.Context, *schedulingv1.PriorityClass, *schedulingv1.PriorityClass) {},
		Validate: func(_ context.Context, c *schedulingv1.PriorityClass) field.ErrorList {
			return validatePriorityClass(c)
		},
		ValidateUpdate: func(_ context.Context, c, old *schedulingv1.PriorityClass) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
			if c.Value != old.Value {
				errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
			}
			return append(errs, validation.ValidateImmutableField(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"), Plural: "priorityclasses", Singular: "priorityclass", ShortNames: []string{"pc"},
		New:     func() runtime.Object { return &schedulingv1.PriorityClass{} },
		NewList: func() runtime.Object { return &schedulingv1.PriorityClassList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Value", "The priority of pods of the class.", func(c *schedulingv1.PriorityClass) int64 { return int64(c.Value) }),
			apis.Flag("Global-Default", "Whether pods without a class get this one.", func(c *schedulingv1.PriorityClass) bool { return c.GlobalDefault }),
			apis.AgeColumn(),
			apis.Text("PreemptionPolicy", "Whether pods of the class push out others.", func(c *schedulingv1.PriorityClass) string {
				return string(ptr.Deref(c.PreemptionPolicy, ""))
			}),
		},
	}
}

func validatePriorityClass(c *schedulingv1.PriorityClass) field.ErrorList {
	errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if strings.HasPrefix(c.Name, systemPrefix) {
		if value, known := systemClasses[c.Name]; !known || value != c.Value || c.GlobalDefault {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"),
				fmt.Sprintf("priority class names with '%s' prefix are reserved for system use only. error: %s is not a known system priority class", systemPrefix, c.Name)))
		}
	} else if c.Value > highestUserDefined {
		errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", highestUserDefined)))
	}
	known := []corev1.PreemptionPolicy{corev1.PreemptLowerPriority, corev1.PreemptNever}
	if p := c.PreemptionPolicy; p != nil && !slices.Contains(known, *p) {
		errs = append(errs, field.NotSupported(field.NewPath("preemptionPolicy"), *p, known))
	}
	return errs
}
