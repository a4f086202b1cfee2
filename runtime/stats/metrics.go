package stats

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
)

// page serves what emit finds, at every request anew.
func page(emit func(ctx context.Context, out chan<- prometheus.Metric) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(collect(func(out chan<- prometheus.Metric) error { return emit(r.Context(), out) }))
		promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

// collect is an unchecked prometheus.Collector.
type collect func(out chan<- prometheus.Metric) error

// Describe implements prometheus.Collector.
func (collect) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collect) Collect(out chan<- prometheus.Metric) {
	if err := c(out); err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
}

// series is one family of metrics.
type series struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) series {
	return series{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) series {
	return series{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func (s series) at(t time.Time, value float64, labels ...string) prometheus.Metric {
	return prometheus.NewMetricWithTimestamp(t, s.now(value, labels...))
}

func (s series) now(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
}

func seconds(nanos uint64) float64 { return float64(nanos) / float64(time.Second) }

func epoch(t time.Time) float64 { return float64(t.UnixNano()) / float64(time.Second) }

// The families of /metrics/resource.
var (
	nodeCPU         = counter("node_cpu_usage_seconds_total", "Cumulative cpu time consumed by the node in core-seconds")
	nodeMemory      = gauge("node_memory_working_set_bytes", "Current working set of the node in bytes")
	nodeSwap        = gauge("node_swap_usage_bytes", "Current swap usage of the node in bytes")
	containerCPU    = counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed by the container in core-seconds", "container", "pod", "namespace")
	containerMemory = gauge("container_memory_working_set_bytes", "Current working set of the container in bytes", "container", "pod", "namespace")
	containerStart  = gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds", "container", "pod", "namespace")
	podCPU          = counter("pod_cpu_usage_seconds_total", "Cumulative cpu time consumed by the pod in core-seconds", "pod", "namespace")
	podMemory       = gauge("pod_memory_working_set_bytes", "Current working set of the pod in bytes", "pod", "namespace")
	scrapeError     = gauge("scrape_error", "1 if there was an error while getting container metrics, 0 otherwise")
	resourceError   = gauge("resource_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise")
)

// Resource serves /metrics/resource.
func (c *Collector) Resource() http.Handler {
	return page(func(ctx context.Context, out chan<- prometheus.Metric) error {
		last, _, err := c.samples(ctx)
		var pods []Pod
		if err == nil {
			pods, err = c.pods(ctx)
		}
		failed := 0.0
		if err != nil {
			failed = 1
			c.cfg.Logger.Info("containers not measured", "err", err)
		}
		out <- scrapeError.now(failed)
		out <- resourceError.now(failed)
		if err != nil {
			return nil
		}
		m := last.machine
		out <- nodeCPU.at(m.stats.Time, seconds(m.stats.CPUNanos))
		out <- nodeMemory.at(m.stats.Time, float64(m.stats.MemoryWorkingSet))
		out <- nodeSwap.at(m.stats.Time, float64(m.swap))
		for i := range pods {
			p := &pods[i]
			out <- podCPU.at(p.Total.Time, seconds(p.Total.CPUNanos), p.Name, p.Namespace)
			out <- podMemory.at(p.Total.Time, float64(p.Total.MemoryWorkingSet), p.Name, p.Namespace)
			for _, x := range p.Containers {
				out <- containerCPU.at(x.Time, seconds(x.CPUNanos), x.Name, p.Name, p.Namespace)
				out <- containerMemory.at(x.Time, float64(x.MemoryWorkingSet), x.Name, p.Name, p.Namespace)
				out <- containerStart.now(epoch(x.StartedAt), x.Name, p.Name, p.Namespace)
			}
		}
		return nil
	})
}

// Own serves /metrics: the agent's process, and what it runs.
func (c *Collector) Own(g prometheus.Gatherer) http.Handler {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(collect(func(out chan<- prometheus.Metric) error { return c.emitOwn(context.Background(), out) }))
	return promhttp.HandlerFor(prometheus.Gatherers{g, reg}, promhttp.HandlerOpts{})
}

var (
	nodeName          = gauge("kubelet_node_name", "The node's name. The count is always 1.", "node")
	runningPods       = gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox")
	runningContainers = gauge("kubelet_running_containers", "Number of containers currently running", "container_state")
	desiredPods       = gauge("kubelet_desired_pods", "The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.", "static")
	volumeCapacity    = gauge("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume", "namespace", "persistentvolumeclaim")
	volumeFree        = gauge("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume", "namespace", "persistentvolumeclaim")
	volumeUsed        = gauge("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume", "namespace", "persistentvolumeclaim")
)

func (c *Collector) emitOwn(ctx context.Context, out chan<- prometheus.Metric) error {
	pods, err := c.pods(ctx)
	if err != nil {
		return err
	}
	containers, static := 0, 0
	all := c.cfg.Pods()
	for _, p := range all {
		if p.Annotations[corev1.MirrorPodAnnotationKey] != "" {
			static++
		}
	}
	seen := map[[2]string]bool{}
	for i := range pods {
		containers += len(pods[i].Containers)
		for _, v := range pods[i].Spec.Volumes {
			claim := claimOf(pods[i].Pod, &v)
			if claim == nil || seen[[2]string{claim.Namespace, claim.Name}] {
				continue
			}
			seen[[2]string{claim.Namespace, claim.Name}] = true
			if used, fs, ok := c.volume(pods[i].Pod, &v); ok {
				out <- volumeCapacity.now(float64(fs.size), claim.Namespace, claim.Name)
				out <- volumeFree.now(float64(fs.free), claim.Namespace, claim.Name)
				out <- volumeUsed.now(float64(used.Bytes), claim.Namespace, claim.Name)
			}
		}
	}
	out <- nodeName.now(1, c.cfg.Node)
	out <- runningPods.now(float64(len(pods)))
	out <- runningContainers.now(float64(containers), "running")
	out <- desiredPods.now(float64(len(all)-static), strconv.FormatBool(false))
	out <- desiredPods.now(float64(static), strconv.FormatBool(true))
	return nil
}
