package autoscaling

import (
	"context"
	"fmt"
	"math"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// What upstream's controller manager has as defaults of its flags.
const (
	tolerance      = 0.1
	downWindow     = 5 * time.Minute
	initialization = 5 * time.Minute
	readiness      = 30 * time.Second
)

// request observes all that a strategy may want to know.
func (o *observer) request(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, scale *autoscalingv1.Scale, past *history, now time.Time) (*scaling.Request, error) {
	r := &scaling.Request{
		Now: now.UnixMilli(), Namespace: hpa.Namespace, Name: hpa.Name,
		Min: ptr.Deref(hpa.Spec.MinReplicas, 1), Max: hpa.Spec.MaxReplicas,
		Replicas: scale.Spec.Replicas, Running: scale.Status.Replicas,
		ScaledToZero:  hasCondition(hpa, autoscalingv2.ScaledToZero),
		DownTolerance: tolerance, UpTolerance: tolerance, DownWindow: downWindow.Milliseconds(),
		Initialization: initialization.Milliseconds(), Readiness: readiness.Milliseconds(),
		Recommendations: past.recommendations, Ups: past.ups, Downs: past.downs, State: past.state,
	}
	if b := hpa.Spec.Behavior; b != nil {
		r.Behavior = &scaling.Behavior{Up: rulesOf(b.ScaleUp, 0), Down: rulesOf(b.ScaleDown, downWindow)}
		r.UpTolerance, r.DownTolerance = toleranceOf(b.ScaleUp), toleranceOf(b.ScaleDown)
	}
	selector, problem := parseSelector(scale.Status.Selector)
	if problem != nil {
		r.Problem = problem
		return r, nil
	}
	pods, err := o.pods.Pods(hpa.Namespace).List(selector)
	if err != nil {
		return nil, err
	}
	sets := make([]labels.Set, len(pods))
	for i, pod := range pods {
		sets[i] = pod.Labels
		r.Pods = append(r.Pods, podOf(pod))
	}
	if rivals := o.past.rivals(reconcile.KeyOf(hpa), selector, sets); rivals != nil {
		text := fmt.Sprintf("pods by selector %v are controlled by more than one HPA (e.g. %v)", selector, rivals)
		r.Problem = &scaling.Problem{Event: "AmbiguousSelector", Reason: "AmbiguousSelector", Message: text, Error: text}
		return r, nil
	}
	for i := range hpa.Spec.Metrics {
		r.Metrics = append(r.Metrics, o.metric(ctx, hpa, &hpa.Spec.Metrics[i], selector, pods))
	}
	return r, nil
}

func parseSelector(text string) (labels.Selector, *scaling.Problem) {
	if text == "" {
		return nil, &scaling.Problem{Event: "SelectorRequired", Reason: "InvalidSelector",
			Message: "the HPA target's scale is missing a selector", Error: "selector is required"}
	}
	selector, err := labels.Parse(text)
	if err != nil {
		text := fmt.Sprintf("couldn't convert selector into a corresponding internal selector object: %v", err)
		return nil, &scaling.Problem{Event: "InvalidSelector", Reason: "InvalidSelector", Message: text, Error: text}
	}
	return selector, nil
}

func rulesOf(in *autoscalingv2.HPAScalingRules, window time.Duration) scaling.Rules {
	out := scaling.Rules{Window: window.Milliseconds(), Select: string(autoscalingv2.MaxChangePolicySelect)}
	if in == nil {
		return out
	}
	if in.StabilizationWindowSeconds != nil {
		out.Window = 1000 * int64(*in.StabilizationWindowSeconds)
	}
	if in.SelectPolicy != nil {
		out.Select = string(*in.SelectPolicy)
	}
	for _, p := range in.Policies {
		out.Policies = append(out.Policies, scaling.Policy{Type: string(p.Type), Value: p.Value, Period: 1000 * int64(p.PeriodSeconds)})
	}
	return out
}

func toleranceOf(rules *autoscalingv2.HPAScalingRules) float64 {
	if rules == nil || rules.Tolerance == nil {
		return tolerance
	}
	return rules.Tolerance.AsApproximateFloat64()
}

func podOf(pod *corev1.Pod) scaling.Pod {
	out := scaling.Pod{Phase: string(pod.Status.Phase), Deleting: pod.DeletionTimestamp != nil}
	if pod.Status.StartTime != nil {
		out.Start = pod.Status.StartTime.UnixMilli()
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			out.Ready, out.Since = string(c.Status), c.LastTransitionTime.UnixMilli()
		}
	}
	return out
}

// metric observes one metric; what cannot be had is an error in it.
func (o *observer) metric(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, spec *autoscalingv2.MetricSpec, selector labels.Selector, pods []*corev1.Pod) scaling.Metric {
	m := scaling.Metric{Type: string(spec.Type)}
	switch {
	case spec.Resource != nil:
		o.resource(ctx, &m, hpa, spec.Resource.Name, "", spec.Resource.Target, selector, pods)
	case spec.ContainerResource != nil:
		s := spec.ContainerResource
		m.Container = s.Container
		o.resource(ctx, &m, hpa, s.Name, s.Container, s.Target, selector, pods)
	case spec.Pods != nil:
		of := identify(&m, spec.Pods.Metric, spec.Pods.Target)
		if m.Error != "" {
			return m
		}
		readings, err := o.Source.Pods(m.Name, hpa.Namespace, selector, of)
		samples(&m, readings, err, pods, fmt.Sprintf("unable to get metric %s", m.Name))
	case spec.Object != nil:
		m.Kind = spec.Object.DescribedObject.Kind
		of := identify(&m, spec.Object.Metric, spec.Object.Target)
		if m.Error != "" {
			return m
		}
		value, err := o.Source.Object(m.Name, hpa.Namespace, spec.Object.DescribedObject, of)
		if err != nil {
			m.Error = fmt.Sprintf("unable to get metric %s on %s %s/%s: %v", m.Name, m.Kind, hpa.Namespace, spec.Object.DescribedObject.Name, err)
		}
		m.Observed = value
	case spec.External != nil:
		of := identify(&m, spec.External.Metric, spec.External.Target)
		if m.Error != "" {
			return m
		}
		values, err := o.Source.External(m.Name, hpa.Namespace, of)
		if err != nil {
			m.Error = fmt.Sprintf("unable to get external metric %s/%s/%+v: %v", hpa.Namespace, m.Name, spec.External.Metric.Selector, err)
		}
		m.Observed = sum(values)
	}
	return m
}

// sum adds up and stays at the largest number instead of wrapping.
func sum(values []int64) int64 {
	var total int64
	for _, v := range values {
		if v > 0 && total > math.MaxInt64-v {
			return math.MaxInt64
		}
		total += v
	}
	return total
}

func identify(m *scaling.Metric, id autoscalingv2.MetricIdentifier, target autoscalingv2.MetricTarget) labels.Selector {
	m.Name, m.Selector = id.Name, fmt.Sprintf("%+v", id.Selector)
	setTarget(m, target)
	selector, err := metav1.LabelSelectorAsSelector(id.Selector)
	if err != nil {
		m.Error = err.Error()
	}
	if id.Selector == nil {
		selector = labels.Everything()
	}
	return selector
}

func setTarget(m *scaling.Metric, target autoscalingv2.MetricTarget) {
	milli := func(q *resource.Quantity) *int64 {
		if q == nil {
			return nil
		}
		return ptr.To(q.MilliValue())
	}
	m.Utilization, m.AverageValue, m.Value = target.AverageUtilization, milli(target.AverageValue), milli(target.Value)
}

func (o *observer) resource(ctx context.Context, m *scaling.Metric, hpa *autoscalingv2.HorizontalPodAutoscaler, name corev1.ResourceName, container string,
	target autoscalingv2.MetricTarget, selector labels.Selector, pods []*corev1.Pod,
) {
	m.Name = string(name)
	setTarget(m, target)
	readings, err := o.Source.Resource(ctx, name, hpa.Namespace, selector, container)
	samples(m, readings, err, pods, fmt.Sprintf("unable to get metrics for resource %s", name))
	if m.AverageValue != nil {
		return
	}
	for _, pod := range pods {
		request, err := requestOf(pod, name, container)
		if err != nil {
			m.Requests, m.RequestError = nil, err.Error()
			return
		}
		m.Requests = append(m.Requests, request)
	}
}

func samples(m *scaling.Metric, readings map[string]Reading, err error, pods []*corev1.Pod, what string) {
	if err != nil {
		m.Error = fmt.Sprintf("%s: %v", what, err)
		return
	}
	add := func(i int, r Reading) {
		m.Samples = append(m.Samples, scaling.Sample{Pod: i, Value: r.Value, At: r.At.UnixMilli(), Window: r.Window.Milliseconds()})
	}
	known := 0
	for i, pod := range pods {
		if r, ok := readings[pod.Name]; ok {
			add(i, r)
			known++
		}
	}
	if known == len(readings) {
		return
	}
	for _, pod := range pods {
		delete(readings, pod.Name)
	}
	for _, r := range readings {
		add(-1, r)
	}
}

// requestOf is what a pod, or one of its containers, asks for.
func requestOf(pod *corev1.Pod, name corev1.ResourceName, container string) (int64, error) {
	if container == "" && resourcehelper.IsPodLevelRequestsSet(pod) {
		request, ok := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[name]
		if !ok {
			return 0, fmt.Errorf("missing pod-level request for %s in Pod %s", name, pod.Name)
		}
		return request.MilliValue(), nil
	}
	var total int64
	found := container == ""
	count := func(c *corev1.Container) error {
		if container != "" && c.Name != container {
			return nil
		}
		request, ok := c.Resources.Requests[name]
		if !ok {
			return fmt.Errorf("missing request for %s in container %s of Pod %s", name, c.Name, pod.Name)
		}
		found = true
		total += request.MilliValue()
		return nil
	}
	for i := range pod.Spec.Containers {
		if err := count(&pod.Spec.Containers[i]); err != nil {
			return 0, err
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if ptr.Deref(c.RestartPolicy, "") != corev1.ContainerRestartPolicyAlways {
			continue
		}
		if err := count(c); err != nil {
			return 0, err
		}
	}
	if !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, pod.Name)
	}
	return total, nil
}
