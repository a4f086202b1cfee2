package served

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func metricToV1(in *autoscalingv2.MetricSpec) autoscalingv1.MetricSpec {
	out := autoscalingv1.MetricSpec{Type: autoscalingv1.MetricSourceType(in.Type)}
	switch {
	case in.Object != nil:
		out.Object = &autoscalingv1.ObjectMetricSource{
			Target:     autoscalingv1.CrossVersionObjectReference(in.Object.DescribedObject),
			MetricName: in.Object.Metric.Name, Selector: in.Object.Metric.Selector,
			TargetValue: quantity(in.Object.Target.Value), AverageValue: in.Object.Target.AverageValue,
		}
	case in.Pods != nil:
		out.Pods = &autoscalingv1.PodsMetricSource{
			MetricName: in.Pods.Metric.Name, Selector: in.Pods.Metric.Selector,
			TargetAverageValue: quantity(in.Pods.Target.AverageValue),
		}
	case in.Resource != nil:
		out.Resource = &autoscalingv1.ResourceMetricSource{
			Name: in.Resource.Name, TargetAverageUtilization: in.Resource.Target.AverageUtilization,
			TargetAverageValue: in.Resource.Target.AverageValue,
		}
	case in.ContainerResource != nil:
		out.ContainerResource = &autoscalingv1.ContainerResourceMetricSource{
			Name: in.ContainerResource.Name, Container: in.ContainerResource.Container,
			TargetAverageUtilization: in.ContainerResource.Target.AverageUtilization,
			TargetAverageValue:       in.ContainerResource.Target.AverageValue,
		}
	case in.External != nil:
		out.External = &autoscalingv1.ExternalMetricSource{
			MetricName: in.External.Metric.Name, MetricSelector: in.External.Metric.Selector,
			TargetValue: in.External.Target.Value, TargetAverageValue: in.External.Target.AverageValue,
		}
	}
	return out
}

func metricFromV1(in *autoscalingv1.MetricSpec) autoscalingv2.MetricSpec {
	out := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(in.Type)}
	switch {
	case in.Object != nil:
		value := &in.Object.TargetValue
		if in.Object.AverageValue != nil && value.IsZero() {
			value = nil
		}
		out.Object = &autoscalingv2.ObjectMetricSource{
			DescribedObject: autoscalingv2.CrossVersionObjectReference(in.Object.Target),
			Metric:          identifier(in.Object.MetricName, in.Object.Selector),
			Target:          target(value, in.Object.AverageValue, nil),
		}
	case in.Pods != nil:
		out.Pods = &autoscalingv2.PodsMetricSource{
			Metric: identifier(in.Pods.MetricName, in.Pods.Selector),
			Target: target(nil, &in.Pods.TargetAverageValue, nil),
		}
	case in.Resource != nil:
		out.Resource = &autoscalingv2.ResourceMetricSource{
			Name: in.Resource.Name, Target: target(nil, in.Resource.TargetAverageValue, in.Resource.TargetAverageUtilization),
		}
	case in.ContainerResource != nil:
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{
			Name: in.ContainerResource.Name, Container: in.ContainerResource.Container,
			Target: target(nil, in.ContainerResource.TargetAverageValue, in.ContainerResource.TargetAverageUtilization),
		}
	case in.External != nil:
		out.External = &autoscalingv2.ExternalMetricSource{
			Metric: identifier(in.External.MetricName, in.External.MetricSelector),
			Target: target(in.External.TargetValue, in.External.TargetAverageValue, nil),
		}
	}
	return out
}

func metricStatusToV1(in *autoscalingv2.MetricStatus) autoscalingv1.MetricStatus {
	out := autoscalingv1.MetricStatus{Type: autoscalingv1.MetricSourceType(in.Type)}
	switch {
	case in.Object != nil:
		out.Object = &autoscalingv1.ObjectMetricStatus{
			Target:     autoscalingv1.CrossVersionObjectReference(in.Object.DescribedObject),
			MetricName: in.Object.Metric.Name, Selector: in.Object.Metric.Selector,
			CurrentValue: quantity(in.Object.Current.Value), AverageValue: in.Object.Current.AverageValue,
		}
	case in.Pods != nil:
		out.Pods = &autoscalingv1.PodsMetricStatus{
			MetricName: in.Pods.Metric.Name, Selector: in.Pods.Metric.Selector,
			CurrentAverageValue: quantity(in.Pods.Current.AverageValue),
		}
	case in.Resource != nil:
		out.Resource = &autoscalingv1.ResourceMetricStatus{
			Name: in.Resource.Name, CurrentAverageUtilization: in.Resource.Current.AverageUtilization,
			CurrentAverageValue: quantity(in.Resource.Current.AverageValue),
		}
	case in.ContainerResource != nil:
		out.ContainerResource = &autoscalingv1.ContainerResourceMetricStatus{
			Name: in.ContainerResource.Name, Container: in.ContainerResource.Container,
			CurrentAverageUtilization: in.ContainerResource.Current.AverageUtilization,
			CurrentAverageValue:       quantity(in.ContainerResource.Current.AverageValue),
		}
	case in.External != nil:
		out.External = &autoscalingv1.ExternalMetricStatus{
			MetricName: in.External.Metric.Name, MetricSelector: in.External.Metric.Selector,
			CurrentValue: quantity(in.External.Current.Value), CurrentAverageValue: in.External.Current.AverageValue,
		}
	}
	return out
}

func metricStatusFromV1(in *autoscalingv1.MetricStatus) autoscalingv2.MetricStatus {
	out := autoscalingv2.MetricStatus{Type: autoscalingv2.MetricSourceType(in.Type)}
	switch {
	case in.Object != nil:
		out.Object = &autoscalingv2.ObjectMetricStatus{
			DescribedObject: autoscalingv2.CrossVersionObjectReference(in.Object.Target),
			Metric:          identifier(in.Object.MetricName, in.Object.Selector),
			Current:         autoscalingv2.MetricValueStatus{Value: &in.Object.CurrentValue, AverageValue: in.Object.AverageValue},
		}
	case in.Pods != nil:
		out.Pods = &autoscalingv2.PodsMetricStatus{
			Metric:  identifier(in.Pods.MetricName, in.Pods.Selector),
			Current: autoscalingv2.MetricValueStatus{AverageValue: &in.Pods.CurrentAverageValue},
		}
	case in.Resource != nil:
		out.Resource = &autoscalingv2.ResourceMetricStatus{
			Name: in.Resource.Name,
			Current: autoscalingv2.MetricValueStatus{
				AverageValue: &in.Resource.CurrentAverageValue, AverageUtilization: in.Resource.CurrentAverageUtilization,
			},
		}
	case in.ContainerResource != nil:
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricStatus{
			Name: in.ContainerResource.Name, Container: in.ContainerResource.Container,
			Current: autoscalingv2.MetricValueStatus{
				AverageValue:       &in.ContainerResource.CurrentAverageValue,
				AverageUtilization: in.ContainerResource.CurrentAverageUtilization,
			},
		}
	case in.External != nil:
		out.External = &autoscalingv2.ExternalMetricStatus{
			Metric:  identifier(in.External.MetricName, in.External.MetricSelector),
			Current: autoscalingv2.MetricValueStatus{Value: &in.External.CurrentValue, AverageValue: in.External.CurrentAverageValue},
		}
	}
	return out
}

func identifier(name string, selector *metav1.LabelSelector) autoscalingv2.MetricIdentifier {
	return autoscalingv2.MetricIdentifier{Name: name, Selector: selector}
}

// target names its type by the field that is set; utilization wins over an
// average value, and that over a plain value.
func target(value, average *resource.Quantity, utilization *int32) autoscalingv2.MetricTarget {
	out := autoscalingv2.MetricTarget{Value: value, AverageValue: average, AverageUtilization: utilization}
	switch {
	case utilization != nil:
		out.Type = autoscalingv2.UtilizationMetricType
	case average != nil:
		out.Type = autoscalingv2.AverageValueMetricType
	default:
		out.Type = autoscalingv2.ValueMetricType
	}
	return out
}

func quantity(q *resource.Quantity) resource.Quantity {
	if q == nil {
		return resource.Quantity{}
	}
	return *q
}
