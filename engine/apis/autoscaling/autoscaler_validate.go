package autoscaling

import (
	"context"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	maxPeriod = 1800
	maxWindow = 3600
)

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func validateAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := apis.ValidateMeta(&h.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateSpec(&h.Spec, specPath)...)
}

func validateAutoscalerUpdate(_ context.Context, h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, validateSpec(&h.Spec, specPath)...)
}

func validateAutoscalerStatusUpdate(_ context.Context, h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status")
	errs = append(errs, validation.ValidateNonnegativeField(int64(h.Status.CurrentReplicas), at.Child("currentReplicas"))...)
	return append(errs, validation.ValidateNonnegativeField(int64(h.Status.DesiredReplicas), at.Child("desiredReplicas"))...)
}

func validateSpec(spec *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	least := int32(1)
	if canScaleToZero(spec.Metrics) {
		least = 0
	}
	if m := spec.MinReplicas; m != nil && *m < least {
		errs = append(errs, field.Invalid(at.Child("minReplicas"), *m, fmt.Sprintf("must be greater than or equal to %d", least)))
	}
	if spec.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), spec.MaxReplicas, "must be greater than 0"))
	}
	if m := spec.MinReplicas; m != nil && spec.MaxReplicas < *m {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), spec.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	ref := &spec.ScaleTargetRef
	errs = append(errs, requiredSegment(ref.Kind, at.Child("scaleTargetRef", "kind"))...)
	errs = append(errs, requiredSegment(ref.Name, at.Child("scaleTargetRef", "name"))...)
	for i := range spec.Metrics {
		errs = append(errs, validateMetric(&spec.Metrics[i], at.Child("metrics").Index(i))...)
	}
	if b := spec.Behavior; b != nil {
		errs = append(errs, validateScaling(b.ScaleUp, at.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScaling(b.ScaleDown, at.Child("behavior", "scaleDown"))...)
	}
	return errs
}

// canScaleToZero asks for a metric that exists without pods.
func canScaleToZero(metrics []autoscalingv2.MetricSpec) bool {
	return slices.ContainsFunc(metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
	})
}

func requiredSegment(value string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for _, msg := range path.IsValidPathSegmentName(value) {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}

var metricTypes = []autoscalingv2.MetricSourceType{
	autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType, autoscalingv2.ObjectMetricSourceType,
	autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType,
}

// validateMetric asks for exactly the source that the type names.
func validateMetric(m *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	if m.Type == "" {
		return field.ErrorList{field.Required(at.Child("type"), "must specify a metric source type")}
	}
	if !slices.Contains(metricTypes, m.Type) {
		return field.ErrorList{field.NotSupported(at.Child("type"), m.Type, metricTypes)}
	}
	var errs field.ErrorList
	source := func(t autoscalingv2.MetricSourceType, name string, set bool, check func(*field.Path) field.ErrorList) {
		switch {
		case set && t == m.Type:
			errs = append(errs, check(at.Child(name))...)
		case set:
			errs = append(errs, field.Forbidden(at.Child(name), "must populate the given metric source only"))
		case t == m.Type:
			errs = append(errs, field.Required(at.Child(name), "must populate information for the given metric source"))
		}
	}
	source(autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil, func(at *field.Path) field.ErrorList {
		errs := requiredSegment(m.Object.DescribedObject.Kind, at.Child("describedObject", "kind"))
		errs = append(errs, requiredSegment(m.Object.DescribedObject.Name, at.Child("describedObject", "name"))...)
		errs = append(errs, validateIdentifier(&m.Object.Metric, at.Child("metric"))...)
		errs = append(errs, validateTarget(&m.Object.Target, at.Child("target"))...)
		if m.Object.Target.Value == nil && m.Object.Target.AverageValue == nil {
			errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either value or averageValue"))
		}
		return errs
	})
	source(autoscalingv2.ExternalMetricSourceType, "external", m.External != nil, func(at *field.Path) field.ErrorList {
		errs := validateIdentifier(&m.External.Metric, at.Child("metric"))
		errs = append(errs, validateTarget(&m.External.Target, at.Child("target"))...)
		switch t := &m.External.Target; {
		case t.Value == nil && t.AverageValue == nil:
			errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"))
		case t.Value != nil && t.AverageValue != nil:
			errs = append(errs, field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
		}
		return errs
	})
	source(autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil, func(at *field.Path) field.ErrorList {
		errs := validateIdentifier(&m.Pods.Metric, at.Child("metric"))
		errs = append(errs, validateTarget(&m.Pods.Target, at.Child("target"))...)
		if q := m.Pods.Target.AverageValue; q == nil || q.Sign() != 1 {
			errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
		}
		return errs
	})
	source(autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil, func(at *field.Path) field.ErrorList {
		return validateResourceTarget(string(m.Resource.Name), &m.Resource.Target, at)
	})
	source(autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil, func(at *field.Path) field.ErrorList {
		errs := validateResourceTarget(string(m.ContainerResource.Name), &m.ContainerResource.Target, at)
		if m.ContainerResource.Container == "" {
			errs = append(errs, field.Required(at.Child("container"), "must specify a container name"))
		}
		return errs
	})
	return errs
}

func validateIdentifier(m *autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	errs := requiredSegment(m.Name, at.Child("name"))
	return append(errs, metavalidation.ValidateLabelSelector(m.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
}

func validateResourceTarget(name string, t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	errs = append(errs, validateTarget(t, at.Child("target"))...)
	switch {
	case t.AverageUtilization == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(at.Child("target", "averageUtilization"), "must set either a target raw value or a target utilization"))
	case t.AverageUtilization != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(at.Child("target", "averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateTarget(t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	known := []autoscalingv2.MetricTargetType{autoscalingv2.AverageValueMetricType, autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType}
	if t.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric target type"))
	}
	if !slices.Contains(known, t.Type) {
		errs = append(errs, field.Invalid(at.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	if t.Value != nil && t.Value.Sign() != 1 {
		errs = append(errs, field.Invalid(at.Child("value"), t.Value, "must be positive"))
	}
	if t.AverageValue != nil && t.AverageValue.Sign() != 1 {
		errs = append(errs, field.Invalid(at.Child("averageValue"), t.AverageValue, "must be positive"))
	}
	if u := t.AverageUtilization; u != nil && *u < 1 {
		errs = append(errs, field.Invalid(at.Child("averageUtilization"), *u, "must be greater than 0"))
	}
	return errs
}

func validateScaling(r *autoscalingv2.HPAScalingRules, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if w := r.StabilizationWindowSeconds; w != nil && *w < 0 {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), *w, "must be greater than or equal to zero"))
	} else if w != nil && *w > maxWindow {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), *w, fmt.Sprintf("must be less than or equal to %v", maxWindow)))
	}
	known := []autoscalingv2.ScalingPolicySelect{autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect}
	if s := r.SelectPolicy; s != nil && !slices.Contains(known, *s) {
		errs = append(errs, field.NotSupported(at.Child("selectPolicy"), *s, known))
	}
	if t := r.Tolerance; t != nil && t.Sign() < 0 {
		errs = append(errs, field.Invalid(at.Child("tolerance"), t.String(), "must be greater than or equal to 0"))
	}
	policiesAt := at.Child("policies")
	if len(r.Policies) == 0 && ptr.Deref(r.SelectPolicy, "") != autoscalingv2.DisabledPolicySelect {
		errs = append(errs, field.Required(policiesAt, "must specify at least one Policy"))
	}
	for i := range r.Policies {
		errs = append(errs, validatePolicy(&r.Policies[i], policiesAt.Index(i))...)
	}
	return errs
}

func validatePolicy(p *autoscalingv2.HPAScalingPolicy, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	known := []autoscalingv2.HPAScalingPolicyType{autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy}
	if !slices.Contains(known, p.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), p.Type, known))
	}
	if p.Value <= 0 {
		errs = append(errs, field.Invalid(at.Child("value"), p.Value, "must be greater than zero"))
	}
	if p.PeriodSeconds <= 0 {
		errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, "must be greater than zero"))
	}
	if p.PeriodSeconds > maxPeriod {
		errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, fmt.Sprintf("must be less than or equal to %v", maxPeriod)))
	}
	return errs
}
