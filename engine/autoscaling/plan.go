package autoscaling

import (
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// Observed is one autoscaler, its target and what the strategy answered.
type Observed struct {
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// TargetErr says why there is no Scale; then there is no Answer.
	TargetErr error
	Target    schema.GroupVersionResource
	Scale     *autoscalingv1.Scale
	Answer    *scaling.Answer
	Now       time.Time
}

// Plan turns an answer into actions.
func Plan(o Observed) reconcile.Result {
	p := &plan{was: o.Autoscaler, hpa: o.Autoscaler.DeepCopy(), now: o.Now}
	if o.TargetErr != nil {
		p.warn("FailedGetScale", o.TargetErr.Error())
		p.condition(autoscalingv2.AbleToScale, false, "FailedGetScale",
			fmt.Sprintf("the HPA controller was unable to get the target's current scale: %v", o.TargetErr))
		p.writeStatus()
		return p.Result
	}
	p.answer(&o)
	return p.Result
}

// plan carries the working state of one Plan.
type plan struct {
	reconcile.Result
	was, hpa *autoscalingv2.HorizontalPodAutoscaler
	now      time.Time
}

func (p *plan) warn(reason, message string) {
	p.Add(reconcile.Event{About: p.was, Type: corev1.EventTypeWarning, Reason: reason, Message: message})
}

func (p *plan) answer(o *Observed) {
	a := o.Answer
	current := o.Scale.Spec.Replicas
	for _, e := range a.Events {
		p.warn(e.Reason, e.Message)
	}
	for _, c := range a.Conditions {
		p.condition(autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type), c.Status, c.Reason, c.Message)
	}
	desired := current
	switch {
	case a.Rescale:
		desired = a.Replicas
		p.rescale(o)
	case a.Error != "" && a.Recommendation == nil:
		desired = p.hpa.Status.DesiredReplicas // nothing was computed
	}
	p.setStatus(current, desired, a)
	p.writeStatus()
}

// rescale writes the scale first: the status tells of it only if it succeeded.
func (p *plan) rescale(o *Observed) {
	a, before := o.Answer, p.hpa.DeepCopy()
	p.Add(reconcile.Patch{
		Resource: o.Target, Namespace: p.hpa.Namespace, Name: p.hpa.Spec.ScaleTargetRef.Name, Subresource: "scale", Type: types.MergePatchType,
		Data: fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"replicas":%d}}`, o.Scale.ResourceVersion, a.Replicas),
	})
	p.condition(autoscalingv2.AbleToScale, true, "SucceededRescale",
		fmt.Sprintf("the HPA controller was able to update the target scale to %d", a.Replicas))
	p.Add(reconcile.Event{About: p.was, Type: corev1.EventTypeNormal, Reason: "SuccessfulRescale",
		Message: fmt.Sprintf("New size: %d; reason: %s", a.Replicas, a.Reason)})
	if o.Scale.Spec.Replicas > 0 && a.Replicas == 0 && unowned(p.hpa) {
		p.condition(autoscalingv2.ScaledToZero, true, "ScaledToZero", "the HPA controller scaled the workload to zero")
	} else {
		p.condition(autoscalingv2.ScaledToZero, false, "NotScaledToZero", "the HPA controller did not scale the workload to zero")
	}
	p.hpa.Status.LastScaleTime = ptr.To(metav1.NewTime(p.now))
	p.OnFailure = rescaleFailed(p.was, before, o)
}

// rescaleFailed reports that the scale could not be written. That somebody else
// wrote the target first is nothing to report: the key is tried again.
func rescaleFailed(was, before *autoscalingv2.HorizontalPodAutoscaler, o *Observed) func(reconcile.Failure) []reconcile.Action {
	answer, current, now := o.Answer, o.Scale.Spec.Replicas, o.Now
	return func(f reconcile.Failure) []reconcile.Action {
		if _, ok := f.Action.(reconcile.Patch); !ok || apierrors.IsConflict(f.Err) {
			return nil
		}
		p := &plan{was: was, hpa: before.DeepCopy(), now: now}
		p.warn("FailedRescale", fmt.Sprintf("New size: %d; reason: %s; error: %v", answer.Replicas, answer.Reason, f.Err))
		p.condition(autoscalingv2.AbleToScale, false, "FailedUpdateScale", fmt.Sprintf("the HPA controller was unable to update the target scale: %v", f.Err))
		p.setStatus(current, before.Status.DesiredReplicas, answer)
		p.writeStatus()
		return p.Actions
	}
}

func (p *plan) setStatus(current, desired int32, a *scaling.Answer) {
	s := &p.hpa.Status
	s.ObservedGeneration = ptr.To(p.hpa.Generation)
	s.CurrentReplicas, s.DesiredReplicas = current, desired
	s.CurrentMetrics = nil
	for i := range a.Metrics {
		s.CurrentMetrics = append(s.CurrentMetrics, metricStatus(&p.hpa.Spec.Metrics[i], &a.Metrics[i]))
	}
}

// metricStatus shows what was observed of a metric; one that failed shows nothing.
func metricStatus(spec *autoscalingv2.MetricSpec, outcome *scaling.Outcome) autoscalingv2.MetricStatus {
	if outcome.Error != "" {
		return autoscalingv2.MetricStatus{}
	}
	status := autoscalingv2.MetricStatus{Type: spec.Type}
	value := func(format resource.Format) autoscalingv2.MetricValueStatus {
		v := autoscalingv2.MetricValueStatus{AverageUtilization: outcome.Utilization}
		if outcome.AverageValue != nil {
			v.AverageValue = resource.NewMilliQuantity(*outcome.AverageValue, format)
		}
		if outcome.Value != nil {
			v.Value = resource.NewMilliQuantity(*outcome.Value, format)
		}
		return v
	}
	format := func(name corev1.ResourceName) resource.Format {
		if name == corev1.ResourceMemory {
			return resource.BinarySI
		}
		return resource.DecimalSI
	}
	switch {
	case spec.Resource != nil:
		status.Resource = &autoscalingv2.ResourceMetricStatus{Name: spec.Resource.Name, Current: value(format(spec.Resource.Name))}
	case spec.ContainerResource != nil:
		s := spec.ContainerResource
		status.ContainerResource = &autoscalingv2.ContainerResourceMetricStatus{Name: s.Name, Container: s.Container, Current: value(format(s.Name))}
	case spec.Pods != nil:
		status.Pods = &autoscalingv2.PodsMetricStatus{Metric: spec.Pods.Metric, Current: value(resource.DecimalSI)}
	case spec.Object != nil:
		status.Object = &autoscalingv2.ObjectMetricStatus{DescribedObject: spec.Object.DescribedObject, Metric: spec.Object.Metric, Current: value(resource.DecimalSI)}
	case spec.External != nil:
		status.External = &autoscalingv2.ExternalMetricStatus{Metric: spec.External.Metric, Current: value(resource.DecimalSI)}
	}
	return status
}

func (p *plan) writeStatus() {
	if !apiequality.Semantic.DeepEqual(p.hpa.Status, p.was.Status) {
		p.Add(reconcile.UpdateStatus{Object: p.hpa})
	}
}

// condition sets a condition; its transition time moves with its status alone.
func (p *plan) condition(kind autoscalingv2.HorizontalPodAutoscalerConditionType, yes bool, reason, message string) {
	status := corev1.ConditionFalse
	if yes {
		status = corev1.ConditionTrue
	}
	list := p.hpa.Status.Conditions
	for i := range list {
		if list[i].Type != kind {
			continue
		}
		if list[i].Status != status {
			list[i].Status, list[i].LastTransitionTime = status, metav1.NewTime(p.now)
		}
		list[i].Reason, list[i].Message = reason, message
		return
	}
	p.hpa.Status.Conditions = append(list, autoscalingv2.HorizontalPodAutoscalerCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(p.now),
	})
}

func hasCondition(hpa *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType) bool {
	for i := range hpa.Status.Conditions {
		if c := &hpa.Status.Conditions[i]; c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// unowned reports a metric that can be had without pods.
func unowned(hpa *autoscalingv2.HorizontalPodAutoscaler) bool {
	for i := range hpa.Spec.Metrics {
		if m := &hpa.Spec.Metrics[i]; m.Object != nil || m.External != nil {
			return true
		}
	}
	return false
}
