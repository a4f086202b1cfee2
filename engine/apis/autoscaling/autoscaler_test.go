package autoscaling

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

type hpa = autoscalingv2.HorizontalPodAutoscaler

func autoscaler() *hpa {
	return &hpa{
		ObjectMeta: metav1.ObjectMeta{Name: "h", Namespace: "default", ResourceVersion: "1"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MaxReplicas: 5,
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{},
		},
	}
}

func TestAutoscaler(t *testing.T) {
	pods := func(h *hpa) *autoscalingv2.PodsMetricSource {
		h.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "qps"},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(10, resource.DecimalSI)},
		}}}
		return h.Spec.Metrics[0].Pods
	}
	apistest.RunCreate(t, horizontalPodAutoscalers(), autoscaler, map[string]apistest.Case[*hpa]{
		"pods metric":   {Change: func(h *hpa) { pods(h) }},
		"no max":        {Change: func(h *hpa) { h.Spec.MaxReplicas = 0 }, Want: []string{"spec.maxReplicas: Invalid value"}},
		"min above max": {Change: func(h *hpa) { h.Spec.MinReplicas = ptr.To(int32(6)) }, Want: []string{"spec.maxReplicas: Invalid value"}},
		"scale to zero": {Change: func(h *hpa) { h.Spec.MinReplicas = ptr.To(int32(0)) }, Want: []string{"spec.metrics: Forbidden"}},
		"no group":      {Change: func(h *hpa) { h.Spec.ScaleTargetRef.APIVersion = "v1" }, Want: []string{"spec.scaleTargetRef.apiVersion: Invalid value"}},
		"core kind": {Change: func(h *hpa) {
			h.Spec.ScaleTargetRef.APIVersion, h.Spec.ScaleTargetRef.Kind = "v1", "ReplicationController"
		}},
		"target":         {Change: func(h *hpa) { h.Spec.ScaleTargetRef.Name = "" }, Want: []string{"spec.scaleTargetRef.name: Required value"}},
		"metric type":    {Change: func(h *hpa) { h.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: "Mood"}} }, Want: []string{"spec.metrics[0].type: Unsupported value"}},
		"no metric":      {Change: func(h *hpa) { h.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: "Pods"}} }, Want: []string{"spec.metrics[0].pods: Required value"}},
		"negative value": {Change: func(h *hpa) { pods(h).Target.AverageValue = resource.NewQuantity(-1, resource.DecimalSI) }, Want: []string{"spec.metrics[0].pods.target.averageValue: Invalid value", "spec.metrics[0].pods.target.averageValue: Required value"}},
		"window": {Change: func(h *hpa) {
			h.Spec.Behavior.ScaleUp = &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To(int32(3601))}
		}, Want: []string{"spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value"}},
		"policy period": {Change: func(h *hpa) {
			h.Spec.Behavior.ScaleDown = &autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{{Type: "Pods", Value: 1}}}
		}, Want: []string{"spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value"}},
	})
}

func TestAutoscalerDefaultsAndCells(t *testing.T) {
	h := autoscaler()
	defaultAutoscaler(h)
	up := h.Spec.Behavior.ScaleUp
	if *h.Spec.MinReplicas != 1 || *up.StabilizationWindowSeconds != 0 || len(up.Policies) != 2 || len(h.Spec.Behavior.ScaleDown.Policies) != 1 {
		t.Errorf("defaults: %+v", h.Spec)
	}
	h.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Resource: &autoscalingv2.ResourceMetricStatus{Current: autoscalingv2.MetricValueStatus{AverageUtilization: ptr.To(int32(30))}}}}
	cells := apistest.Cells(horizontalPodAutoscalers(), h)
	if cells["Targets"] != "cpu: 30%/80%" || cells["Reference"] != "Deployment/web" || cells["MinPods"] != "1" {
		t.Errorf("cells: %v", cells)
	}
}
