package autoscaling

import (
	"context"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"
)

// Reading is the amount that one pod was seen to have, in thousandths, at the end
// of a window.
type Reading struct {
	Value  int64
	At     time.Time
	Window time.Duration
}

// Source is where metrics come from. Pods are answered by name.
type Source interface {
	Resource(ctx context.Context, name corev1.ResourceName, namespace string, pods labels.Selector, container string) (map[string]Reading, error)
	Pods(name, namespace string, pods, metric labels.Selector) (map[string]Reading, error)
	Object(name, namespace string, object autoscalingv2.CrossVersionObjectReference, metric labels.Selector) (int64, error)
	External(name, namespace string, metric labels.Selector) ([]int64, error)
}

const (
	// customWindow is how long custom metrics are taken to have been measured.
	customWindow = time.Minute
	// metricsTimeout bounds a question to an extension server.
	metricsTimeout = 10 * time.Second
)

// apiSource reads the three metrics APIs, whoever serves them.
type apiSource struct {
	resource  metrics.MetricsV1beta1Interface
	custom    custom_metrics.CustomMetricsClient
	available custom_metrics.AvailableAPIsGetter
	external  external_metrics.ExternalMetricsClient
}

// NewSource reads the metrics APIs that the server of cfg has.
func NewSource(cfg *rest.Config, mapper meta.RESTMapper) (Source, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = metricsTimeout
	var s apiSource
	var err error
	if s.resource, err = metrics.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if s.external, err = external_metrics.NewForConfig(cfg); err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	s.available = custom_metrics.NewAvailableAPIsGetter(found)
	s.custom = custom_metrics.NewForConfig(cfg, mapper, s.available)
	return &s, nil
}

func (s *apiSource) Resource(ctx context.Context, name corev1.ResourceName, namespace string, pods labels.Selector, container string) (map[string]Reading, error) {
	list, err := s.resource.PodMetricses(namespace).List(ctx, metav1.ListOptions{LabelSelector: pods.String()})
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from resource metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no metrics returned from resource metrics API")
	}
	out := make(map[string]Reading, len(list.Items))
	for i := range list.Items {
		m := &list.Items[i]
		if value, ok := usage(m.Containers, name, container); ok {
			out[m.Name] = Reading{Value: value, At: m.Timestamp.Time, Window: m.Window.Duration}
		}
	}
	return out, nil
}

// usage adds up the containers' usage, or takes that of one.
func usage(all []metricsv1beta1.ContainerMetrics, name corev1.ResourceName, container string) (int64, bool) {
	var sum int64
	seen := false
	for i := range all {
		if container != "" && all[i].Name != container {
			continue
		}
		value, ok := all[i].Usage[name]
		if !ok {
			return 0, false
		}
		sum += value.MilliValue()
		seen = true
	}
	return sum, seen
}

func (s *apiSource) Pods(name, namespace string, pods, metric labels.Selector) (map[string]Reading, error) {
	list, err := s.custom.NamespacedMetrics(namespace).GetForObjects(schema.GroupKind{Kind: "Pod"}, pods, name, metric)
	if err != nil {
		s.available.Invalidate()
		return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no metrics returned from custom metrics API")
	}
	out := make(map[string]Reading, len(list.Items))
	for i := range list.Items {
		m := &list.Items[i]
		window := customWindow
		if m.WindowSeconds != nil {
			window = time.Duration(*m.WindowSeconds) * time.Second
		}
		out[m.DescribedObject.Name] = Reading{Value: m.Value.MilliValue(), At: m.Timestamp.Time, Window: window}
	}
	return out, nil
}

func (s *apiSource) Object(name, namespace string, object autoscalingv2.CrossVersionObjectReference, metric labels.Selector) (int64, error) {
	kind := schema.FromAPIVersionAndKind(object.APIVersion, object.Kind).GroupKind()
	of, at := custom_metrics.MetricsInterface(s.custom.NamespacedMetrics(namespace)), object.Name
	if kind.Kind == "Namespace" && kind.Group == "" {
		// An autoscaler's own namespace, whatever it names.
		of, at = s.custom.RootScopedMetrics(), namespace
	}
	value, err := of.GetForObject(kind, at, name, metric)
	if err != nil {
		s.available.Invalidate()
		return 0, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	return value.Value.MilliValue(), nil
}

func (s *apiSource) External(name, namespace string, metric labels.Selector) ([]int64, error) {
	list, err := s.external.NamespacedMetrics(namespace).List(name, metric)
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from external metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no metrics returned from external metrics API")
	}
	var out []int64
	for i := range list.Items {
		out = append(out, list.Items[i].Value.MilliValue())
	}
	return out, nil
}
