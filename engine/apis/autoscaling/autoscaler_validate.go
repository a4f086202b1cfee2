package autoscaling

import (
	"context"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
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
	return append(errs, validateSpec(&h.Spec, nil, specPath)...)
}

func validateAutoscalerUpdate(_ context.Context, h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, validateSpec(&h.Spec, &old.Spec, specPath)...)
}

func validateAutoscalerStatusUpdate(_ context.Context, h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status")
	errs = append(errs, validation.ValidateNonnegativeField(int64(h.Status.CurrentReplicas), at.Child("currentReplicas"))...)
	return append(errs, validation.ValidateNonnegativeField(int64(h.Status.DesiredReplicas), at.Child("desiredReplicas"))...)
}

// validateSpec checks what the type does not declare; old is nil on create.
func validateSpec(spec, old *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m := spec.MinReplicas; m != nil && spec.MaxReplicas < *m {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), spec.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	errs = append(errs, validateTargetRef(spec, old, at.Child("scaleTargetRef"))...)
	for i := range spec.Metrics {
		errs = append(errs, validateMetric(&spec.Metrics[i], keepsBadVersion(old), at.Child("metrics").Index(i))...)
	}
	if ptr.Deref(spec.MinReplicas, 1) == 0 && !canScaleToZero(spec.Metrics) {
		errs = append(errs, field.Forbidden(at.Child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas"))
	}
	if b := spec.Behavior; b != nil {
		errs = append(errs, validateScaling(b.ScaleUp, at.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScaling(b.ScaleDown, at.Child("behavior", "scaleDown"))...)
	}
	return errs
}

// validateTargetRef wants a group, unless the target is of the one kind of the core
// group that scales, or was there before.
func validateTargetRef(spec, old *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	ref := &spec.ScaleTargetRef
	errs := requiredSegment(ref.Kind, "", at.Child("kind"))
	errs = append(errs, requiredSegment(ref.Name, "", at.Child("name"))...)
	if old != nil && old.ScaleTargetRef.APIVersion == ref.APIVersion && old.ScaleTargetRef.Kind == ref.Kind {
		return errs
	}
	return append(errs, validateVersion(ref.APIVersion, ref.Kind == "ReplicationController", at.Child("apiVersion"))...)
}

func validateVersion(version string, coreGroup bool, at *field.Path) field.ErrorList {
	gv, err := schema.ParseGroupVersion(version)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(at, version, err.Error())}
	case gv.Group == "" && !coreGroup:
		return field.ErrorList{field.Invalid(at, version, "apiVersion must specify API group")}
	}
	return nil
}

// keepsBadVersion: one object metric of a version that is none excuses them all.
func keepsBadVersion(old *autoscalingv2.HorizontalPodAutoscalerSpec) bool {
	return old != nil && slices.ContainsFunc(old.Metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil &&
			len(validateVersion(m.Object.DescribedObject.APIVersion, true, nil)) > 0
	})
}

// canScaleToZero asks for a metric that exists without pods.
func canScaleToZero(metrics []autoscalingv2.MetricSpec) bool {
	return slices.ContainsFunc(metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
	})
}

func requiredSegment(value, missing string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, missing)}
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
func validateMetric(m *autoscalingv2.MetricSpec, anyVersion bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric source type"))
	}
	if !slices.Contains(metricTypes, m.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), m.Type, metricTypes))
	}
	sources := []struct {
		of    autoscalingv2.MetricSourceType
		name  string
		set   bool
		check func(*field.Path) field.ErrorList
	}{
		{autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil, func(at *field.Path) field.ErrorList { return validateObject(m.Object, anyVersion, at) }},
		{autoscalingv2.ExternalMetricSourceType, "external", m.External != nil, func(at *field.Path) field.ErrorList { return validateExternal(m.External, at) }},
		{autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil, func(at *field.Path) field.ErrorList { return validatePods(m.Pods, at) }},
		{autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil, func(at *field.Path) field.ErrorList {
			return validateResourceTarget(m.Resource.Name, &m.Resource.Target, at)
		}},
		{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil, func(at *field.Path) field.ErrorList {
			return validateContainerResource(m.ContainerResource, at)
		}},
	}
	present := 0
	for _, s := range sources {
		if s.set {
			if present++; present == 1 {
				errs = append(errs, s.check(at.Child(s.name))...)
			}
		}
	}
	for _, s := range sources {
		if s.of == m.Type && !s.set {
			errs = append(errs, field.Required(at.Child(s.name), "must populate information for the given metric source"))
		}
	}
	for _, s := range sources {
		if present != 1 && s.set && s.of != m.Type {
			errs = append(errs, field.Forbidden(at.Child(s.name), "must populate the given metric source only"))
		}
	}
	return errs
}

func validateObject(o *autoscalingv2.ObjectMetricSource, anyVersion bool, at *field.Path) field.ErrorList {
	refAt := at.Child("describedObject")
	errs := requiredSegment(o.DescribedObject.Kind, "", refAt.Child("kind"))
	errs = append(errs, requiredSegment(o.DescribedObject.Name, "", refAt.Child("name"))...)
	if !anyVersion {
		errs = append(errs, validateVersion(o.DescribedObject.APIVersion, true, refAt.Child("apiVersion"))...)
	}
	errs = append(errs, validateIdentifier(&o.Metric, at.Child("metric"))...)
	errs = append(errs, validateTarget(&o.Target, at.Child("target"))...)
	if o.Target.Value == nil && o.Target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value or averageValue"))
	}
	return errs
}

func validateExternal(e *autoscalingv2.ExternalMetricSource, at *field.Path) field.ErrorList {
	errs := validateIdentifier(&e.Metric, at.Child("metric"))
	errs = append(errs, validateTarget(&e.Target, at.Child("target"))...)
	switch t := &e.Target; {
	case t.Value == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"))
	case t.Value != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
	}
	return errs
}

func validatePods(p *autoscalingv2.PodsMetricSource, at *field.Path) field.ErrorList {
	errs := validateIdentifier(&p.Metric, at.Child("metric"))
	errs = append(errs, validateTarget(&p.Target, at.Child("target"))...)
	if q := p.Target.AverageValue; q == nil || q.Sign() != 1 {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
	}
	return errs
}

func validateContainerResource(c *autoscalingv2.ContainerResourceMetricSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	} else {
		errs = append(errs, core.ValidateContainerResourceName(c.Name, at.Child("name"))...)
	}
	if c.Container == "" {
		errs = append(errs, field.Required(at.Child("container"), "must specify a container"))
	} else {
		errs = append(errs, core.ValidateDNS1123Label(c.Container, at.Child("container"))...)
	}
	return append(errs, validateUsage(&c.Target, at.Child("target"))...)
}

func validateIdentifier(m *autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	return requiredSegment(m.Name, "must specify a metric name", at.Child("name"))
}

func validateResourceTarget(name corev1.ResourceName, t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	return append(errs, validateUsage(t, at.Child("target"))...)
}

// validateUsage asks for an amount or a share.
func validateUsage(t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	errs := validateTarget(t, at)
	switch {
	case t.AverageUtilization == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(at.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	case t.AverageUtilization != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(at.Child("averageValue"), "may not set both a target raw value and a target utilization"))
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
	policiesAt := at.Child("policies")
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(policiesAt, "must specify at least one Policy"))
	}
	for i := range r.Policies {
		errs = append(errs, validatePolicy(&r.Policies[i], policiesAt.Index(i))...)
	}
	if t := r.Tolerance; t != nil && t.Sign() < 0 {
		errs = append(errs, field.Invalid(at.Child("tolerance"), t.String(), "must be greater than or equal to 0"))
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
