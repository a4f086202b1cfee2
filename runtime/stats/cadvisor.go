package stats

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// cadvisorLabels name a container as cAdvisor does; pods have an empty container.
var cadvisorLabels = []string{"container", "id", "image", "name", "namespace", "pod"}

func perContainer(make func(name, help string, labels ...string) series, name, help string, more ...string) series {
	return make(name, help, append(append([]string{}, cadvisorLabels...), more...)...)
}

// The families of /metrics/cadvisor.
var (
	cCPU        = perContainer(counter, "container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "cpu")
	cPeriods    = perContainer(counter, "container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.")
	cThrottled  = perContainer(counter, "container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.")
	cUsage      = perContainer(gauge, "container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed")
	cWorkingSet = perContainer(gauge, "container_memory_working_set_bytes", "Current working set in bytes.")
	cRSS        = perContainer(gauge, "container_memory_rss", "Size of RSS in bytes.")
	cCache      = perContainer(gauge, "container_memory_cache", "Number of bytes of page cache memory.")
	cFaults     = perContainer(counter, "container_memory_failures_total", "Cumulative count of memory allocation failures.", "failure_type", "scope")
	cProcesses  = perContainer(gauge, "container_processes", "Number of processes running inside the container.")
	cSeen       = perContainer(gauge, "container_last_seen", "Last time a container was seen by the exporter")
	cStart      = perContainer(gauge, "container_start_time_seconds", "Start time of the container since unix epoch in seconds.")
	cDisk       = perContainer(gauge, "container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.", "device")
	cInodes     = perContainer(gauge, "container_fs_inodes_total", "Number of Inodes", "device")
	cMemLimit   = perContainer(gauge, "container_spec_memory_limit_bytes", "Memory limit for the container.")
	cShares     = perContainer(gauge, "container_spec_cpu_shares", "CPU share of the container.")
	cQuota      = perContainer(gauge, "container_spec_cpu_quota", "CPU quota of the container.")
	cPeriod     = perContainer(gauge, "container_spec_cpu_period", "CPU period of the container.")

	netRx        = perContainer(counter, "container_network_receive_bytes_total", "Cumulative count of bytes received", "interface")
	netRxPackets = perContainer(counter, "container_network_receive_packets_total", "Cumulative count of packets received", "interface")
	netRxErrors  = perContainer(counter, "container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", "interface")
	netRxDropped = perContainer(counter, "container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving", "interface")
	netTx        = perContainer(counter, "container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", "interface")
	netTxPackets = perContainer(counter, "container_network_transmit_packets_total", "Cumulative count of packets transmitted", "interface")
	netTxErrors  = perContainer(counter, "container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", "interface")
	netTxDropped = perContainer(counter, "container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting", "interface")

	machineCores  = gauge("machine_cpu_cores", "Number of logical CPU cores.")
	machineMemory = gauge("machine_memory_bytes", "Amount of memory installed on the machine.")
)

// quotaPeriod is the period of processor quotas, in microseconds.
const quotaPeriod = 100_000

// Cadvisor serves /metrics/cadvisor.
func (c *Collector) Cadvisor() http.Handler {
	return page(func(ctx context.Context, out chan<- prometheus.Metric) error {
		last, _, err := c.samples(ctx)
		if err != nil {
			return err
		}
		pods, err := c.pods(ctx)
		if err != nil {
			return err
		}
		out <- machineCores.now(float64(runtime.NumCPU()))
		out <- machineMemory.now(float64(last.machine.total))
		root := []string{"", "/", "", "", "", ""}
		emitUsage(out, last.machine.stats, root)
		emitNetwork(out, last.at, last.machine.network, root)
		for i := range pods {
			c.emitPod(ctx, out, &pods[i])
		}
		return nil
	})
}

func (c *Collector) emitPod(ctx context.Context, out chan<- prometheus.Metric, p *Pod) {
	whole := []string{"", "/kubepods/pod" + string(p.UID), "", "", p.Namespace, p.Name}
	emitUsage(out, p.Total, whole)
	emitNetwork(out, p.Total.Time, p.Network, whole)
	for _, x := range p.Containers {
		labels := []string{x.Name, whole[1] + "/" + x.ID, x.Image, x.ID, p.Namespace, p.Name}
		emitUsage(out, x.Stats, labels)
		emitSpec(out, p.Pod, x.Name, labels)
		disk := c.rootfs(ctx, x.ID)
		out <- cDisk.at(x.Time, float64(disk.Bytes), append(labels, "")...)
		out <- cInodes.at(x.Time, float64(disk.Inodes), append(labels, "")...)
		out <- cStart.now(epoch(x.StartedAt), labels...)
		out <- cSeen.now(epoch(x.Time), labels...)
	}
}

func emitUsage(out chan<- prometheus.Metric, s container.Stats, labels []string) {
	out <- cCPU.at(s.Time, seconds(s.CPUNanos), append(labels[:len(labels):len(labels)], "total")...)
	out <- cUsage.at(s.Time, float64(s.MemoryUsage), labels...)
	out <- cWorkingSet.at(s.Time, float64(s.MemoryWorkingSet), labels...)
	out <- cRSS.at(s.Time, float64(s.MemoryRSS), labels...)
	out <- cCache.at(s.Time, float64(s.MemoryCache), labels...)
	out <- cFaults.at(s.Time, float64(s.PageFaults), append(labels[:len(labels):len(labels)], "pgfault", "container")...)
	out <- cFaults.at(s.Time, float64(s.MajorPageFaults), append(labels[:len(labels):len(labels)], "pgmajfault", "container")...)
	if s.Pids > 0 {
		out <- cProcesses.at(s.Time, float64(s.Pids), labels...)
	}
	if s.Periods > 0 {
		out <- cPeriods.at(s.Time, float64(s.Periods), labels...)
		out <- cThrottled.at(s.Time, float64(s.ThrottledPeriods), labels...)
	}
}

func emitSpec(out chan<- prometheus.Metric, pod *corev1.Pod, name string, labels []string) {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			r := &list[i].Resources
			if list[i].Name != name {
				continue
			}
			out <- cMemLimit.now(float64(r.Limits.Memory().Value()), labels...)
			out <- cShares.now(float64(max(r.Requests.Cpu().MilliValue()*1024/1000, 2)), labels...)
			if limit := r.Limits.Cpu().MilliValue(); limit > 0 {
				out <- cPeriod.now(quotaPeriod, labels...)
				out <- cQuota.now(float64(limit*quotaPeriod/1000), labels...)
			}
		}
	}
}

func emitNetwork(out chan<- prometheus.Metric, at time.Time, n *Network, labels []string) {
	if n == nil {
		return
	}
	for _, i := range n.Interfaces {
		l := append(labels[:len(labels):len(labels)], i.Name)
		out <- netRx.at(at, float64(i.RxBytes), l...)
		out <- netRxPackets.at(at, float64(i.RxPackets), l...)
		out <- netRxErrors.at(at, float64(i.RxErrors), l...)
		out <- netRxDropped.at(at, float64(i.RxDropped), l...)
		out <- netTx.at(at, float64(i.TxBytes), l...)
		out <- netTxPackets.at(at, float64(i.TxPackets), l...)
		out <- netTxErrors.at(at, float64(i.TxErrors), l...)
		out <- netTxDropped.at(at, float64(i.TxDropped), l...)
	}
}
