package agent

import (
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/probe"
	"github.com/pintle-io/pintle/runtime/stats"
)

// metrics are the agent's own counts.
type metrics struct {
	own, probes   *prometheus.Registry
	probeTotal    *prometheus.CounterVec
	probeDuration *prometheus.HistogramVec
	podStart      prometheus.Histogram
	podWorker     *prometheus.HistogramVec
	evictions     *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		own: prometheus.NewRegistry(), probes: prometheus.NewRegistry(),
		probeTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prober_probe_total", Help: "Cumulative number of a liveness, readiness or startup probe for a container by result.",
		}, []string{"probe_type", "result", "container", "pod", "namespace", "pod_uid"}),
		probeDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prober_probe_duration_seconds", Help: "Duration in seconds for a probe response.",
		}, []string{"probe_type", "container", "pod", "namespace"}),
		podStart: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kubelet_pod_start_duration_seconds", Help: "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
			Buckets: []float64{0.1, 0.2, 0.3, 0.5, 0.8, 1, 2, 3, 5, 10, 20, 60, 120},
		}),
		podWorker: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kubelet_pod_worker_duration_seconds", Help: "Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
		}, []string{"operation_type"}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubelet_evictions", Help: "Cumulative number of pod evictions by eviction signal",
		}, []string{"eviction_signal"}),
	}
	m.probes.MustRegister(m.probeTotal, m.probeDuration)
	m.own.MustRegister(m.podStart, m.podWorker, m.evictions,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// probed counts one answer of a probe.
func (m *metrics) probed(kind probe.Kind, r probe.Result, pod *corev1.Pod, name string, took time.Duration) {
	result := map[probe.Result]string{probe.Success: "successful", probe.Failure: "failed"}[r]
	if result == "" {
		result = "unknown"
	}
	m.probeTotal.WithLabelValues(string(kind), result, name, pod.Name, pod.Namespace, string(pod.UID)).Inc()
	m.probeDuration.WithLabelValues(string(kind), name, pod.Name, pod.Namespace).Observe(took.Seconds())
}

// forget drops the series of a pod that is gone.
func (m *metrics) forget(namespace, name, uid string) {
	m.probeTotal.DeletePartialMatch(prometheus.Labels{"pod_uid": uid})
	m.probeDuration.DeletePartialMatch(prometheus.Labels{"namespace": namespace, "pod": name})
}

func (a *Agent) newCollector() *stats.Collector {
	return stats.New(stats.Config{
		Node: a.cfg.NodeName, Source: a.cfg.Runtime, Pods: a.pods, DataDir: a.cfg.DataDir, Logger: a.log,
		VolumeDir: a.volumeDir,
	})
}

// pods of this node, as the API has them.
func (a *Agent) pods() []*corev1.Pod {
	if a.podStore == nil {
		return nil
	}
	list := a.podStore.List()
	out := make([]*corev1.Pod, 0, len(list))
	for _, o := range list {
		out = append(out, o.(*corev1.Pod))
	}
	return out
}

// volumeDir is where the worker of a pod put a volume; empty if it did not.
func (a *Agent) volumeDir(pod *corev1.Pod, name string) string {
	w := a.worker(string(pod.UID))
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	path := w.mu.volumes[name]
	if path == "" {
		return ""
	}
	return filepath.Clean(path)
}

// metricPaths are the metrics of the kubelet API.
func (a *Agent) metricPaths() map[string]http.Handler {
	return map[string]http.Handler{
		"/metrics":          a.stats.Own(a.metrics.own),
		"/metrics/probes":   promhttp.HandlerFor(a.metrics.probes, promhttp.HandlerOpts{}),
		"/metrics/resource": a.stats.Resource(),
		"/metrics/cadvisor": a.stats.Cadvisor(),
	}
}
