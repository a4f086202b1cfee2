package autoscaling

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func horizontalPodAutoscalers() apis.Resource {
	parts := apis.Parts[*autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerSpec, autoscalingv2.HorizontalPodAutoscalerStatus]{
		Spec: func(h *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerSpec {
			return &h.Spec
		},
		Status: func(h *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerStatus {
			return &h.Status
		},
	}
	rules := apis.TypedRules[*autoscalingv2.HorizontalPodAutoscaler]{
		Default:                defaultAutoscaler,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(_ context.Context, h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
			return validateAutoscaler(h)
		},
		ValidateUpdate:       validateAutoscalerUpdate,
		ValidateStatusUpdate: validateAutoscalerStatusUpdate,
	}.Rules()
	rules.DeclaredOptions = map[string]bool{"HPAScaleToZero": true}
	return apis.Resource{
		GVK: autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), Plural: "horizontalpodautoscalers", Singular: "horizontalpodautoscaler",
		ShortNames: []string{"hpa"}, Categories: []string{"all"}, Namespaced: true,
		New:     func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
		NewList: func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscalerList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Reference", "What is scaled.", func(h *autoscalingv2.HorizontalPodAutoscaler) string {
				return h.Spec.ScaleTargetRef.Kind + "/" + h.Spec.ScaleTargetRef.Name
			}),
			apis.Text("Targets", "Observed and wanted metrics.", formatTargets),
			apis.Text("MinPods", "The least replicas.", func(h *autoscalingv2.HorizontalPodAutoscaler) string {
				if h.Spec.MinReplicas == nil {
					return "<unset>"
				}
				return strconv.Itoa(int(*h.Spec.MinReplicas))
			}),
			apis.Text("MaxPods", "The most replicas.", func(h *autoscalingv2.HorizontalPodAutoscaler) string { return strconv.Itoa(int(h.Spec.MaxReplicas)) }),
			apis.Text("Replicas", "Replicas observed.", func(h *autoscalingv2.HorizontalPodAutoscaler) string {
				return strconv.Itoa(int(h.Status.CurrentReplicas))
			}),
			apis.AgeColumn(),
		},
		HasStatus:     true,
		OtherVersions: []schema.GroupVersionKind{autoscalingv1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")},
	}
}

func defaultAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) {
	if h.Spec.MinReplicas == nil {
		h.Spec.MinReplicas = ptr.To(int32(1))
	}
	if len(h.Spec.Metrics) == 0 {
		h.Spec.Metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To(int32(80))},
			},
		}}
	}
	b := h.Spec.Behavior
	if b == nil {
		return
	}
	if b.ScaleUp == nil {
		b.ScaleUp = &autoscalingv2.HPAScalingRules{}
	}
	if b.ScaleDown == nil {
		b.ScaleDown = &autoscalingv2.HPAScalingRules{}
	}
	defaultScaling(b.ScaleUp, ptr.To(int32(0)), []autoscalingv2.HPAScalingPolicy{
		{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
		{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
	})
	defaultScaling(b.ScaleDown, nil, []autoscalingv2.HPAScalingPolicy{
		{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
	})
}

func defaultScaling(r *autoscalingv2.HPAScalingRules, window *int32, policies []autoscalingv2.HPAScalingPolicy) {
	if r.StabilizationWindowSeconds == nil {
		r.StabilizationWindowSeconds = window
	}
	if r.SelectPolicy == nil {
		r.SelectPolicy = ptr.To(autoscalingv2.MaxChangePolicySelect)
	}
	if r.Policies == nil {
		r.Policies = policies
	}
}

// formatTargets shows "observed/wanted" for the first metrics.
func formatTargets(h *autoscalingv2.HorizontalPodAutoscaler) string {
	const most = 2
	if len(h.Spec.Metrics) == 0 {
		return "<none>"
	}
	parts := make([]string, 0, most)
	for i := range h.Spec.Metrics {
		if i == most {
			return fmt.Sprintf("%s + %d more...", strings.Join(parts, ", "), len(h.Spec.Metrics)-most)
		}
		var status autoscalingv2.MetricStatus
		if i < len(h.Status.CurrentMetrics) {
			status = h.Status.CurrentMetrics[i]
		}
		parts = append(parts, formatMetric(&h.Spec.Metrics[i], &status))
	}
	return strings.Join(parts, ", ")
}

func formatMetric(m *autoscalingv2.MetricSpec, s *autoscalingv2.MetricStatus) string {
	var current autoscalingv2.MetricValueStatus
	switch {
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		if s.External != nil {
			current = s.External.Current
		}
		return formatPair(&m.External.Target, &current)
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		if s.Pods != nil {
			current = s.Pods.Current
		}
		return quantity(current.AverageValue) + "/" + quantity(m.Pods.Target.AverageValue)
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		if s.Object != nil {
			current = s.Object.Current
		}
		return formatPair(&m.Object.Target, &current)
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		if s.Resource != nil {
			current = s.Resource.Current
		}
		return formatResource(m.Resource.Name, &m.Resource.Target, &current)
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		if s.ContainerResource != nil {
			current = s.ContainerResource.Current
		}
		return formatResource(m.ContainerResource.Name, &m.ContainerResource.Target, &current)
	}
	return "<unknown type>"
}

func formatPair(t *autoscalingv2.MetricTarget, c *autoscalingv2.MetricValueStatus) string {
	if t.AverageValue != nil {
		return quantity(c.AverageValue) + "/" + quantity(t.AverageValue) + " (avg)"
	}
	return quantity(c.Value) + "/" + quantity(t.Value)
}

func formatResource(name corev1.ResourceName, t *autoscalingv2.MetricTarget, c *autoscalingv2.MetricValueStatus) string {
	if t.AverageValue != nil {
		return fmt.Sprintf("%s: %s/%s", name, quantity(c.AverageValue), quantity(t.AverageValue))
	}
	current, target := "<unknown>", "<auto>"
	if c.AverageUtilization != nil {
		current = fmt.Sprintf("%d%%", *c.AverageUtilization)
	}
	if t.AverageUtilization != nil {
		target = fmt.Sprintf("%d%%", *t.AverageUtilization)
	}
	return fmt.Sprintf("%s: %s/%s", name, current, target)
}

func quantity(q *resource.Quantity) string {
	if q == nil {
		return "<unknown>"
	}
	return q.String()
}
