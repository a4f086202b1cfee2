package registry

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Metrics of what services are given, under upstream's names. In a process that runs
// several servers, as tests do, they are of all of them.
var (
	allocatedIPs   = gauge("clusterip", "allocated_ips", "Gauge measuring the number of allocated IPs for Services", "cidr")
	availableIPs   = gauge("clusterip", "available_ips", "Gauge measuring the number of available IPs for Services", "cidr")
	ipsGiven       = allocations("clusterip", "allocation_total", "Number of Cluster IPs allocations", "cidr", "scope")
	ipsRefused     = allocations("clusterip", "allocation_errors_total", "Number of errors trying to allocate Cluster IPs", "cidr", "scope")
	allocatedPorts = gauge("nodeport", "allocated_ports", "Gauge measuring the number of allocated NodePorts for Services")
	availablePorts = gauge("nodeport", "available_ports", "Gauge measuring the number of available NodePorts for Services")
	portsGiven     = allocations("nodeport", "allocation_total", "Number of NodePort allocations", "scope")
	portsRefused   = allocations("nodeport", "allocation_errors_total", "Number of errors trying to allocate NodePort", "scope")
)

func gauge(part, name, help string, labels ...string) *metrics.GaugeVec {
	return metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: "kube_apiserver", Subsystem: part + "_allocator", Name: name, Help: help, StabilityLevel: metrics.ALPHA,
	}, labels)
}

func allocations(part, name, help string, labels ...string) *metrics.CounterVec {
	return metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kube_apiserver", Subsystem: part + "_allocator", Name: name, Help: help, StabilityLevel: metrics.ALPHA,
	}, labels)
}

// registerMetrics is done by the first registry of the process.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(allocatedIPs, availableIPs, ipsGiven, ipsRefused, allocatedPorts, availablePorts, portsGiven, portsRefused)
})

// How a number came about.
const (
	static  = "static"
	dynamic = "dynamic"
)

// count notes an allocation and what is left of the range.
func (a *addresses) count(scope string, err error) {
	cidr := a.prefix.String()
	countGiven(ipsGiven, ipsRefused, err, cidr, scope)
	a.bits.show(allocatedIPs.WithLabelValues(cidr), availableIPs.WithLabelValues(cidr))
}

func (p *ports) count(scope string, err error) {
	countGiven(portsGiven, portsRefused, err, scope)
	p.bits.show(allocatedPorts.WithLabelValues(), availablePorts.WithLabelValues())
}

func countGiven(given, refused *metrics.CounterVec, err error, labels ...string) {
	if err != nil {
		given = refused
	}
	given.WithLabelValues(labels...).Inc()
}

// show sets the gauges of what is taken and what is left.
func (b *bitmap) show(taken, left metrics.GaugeMetric) {
	b.mu.Lock()
	used := len(b.mu.used)
	b.mu.Unlock()
	taken.Set(float64(used))
	left.Set(float64(b.size - used))
}
