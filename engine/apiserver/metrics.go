package apiserver

import (
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/pintle-io/pintle/engine/registry"
)

var (
	resourceObjects = metrics.NewDesc("apiserver_resource_objects",
		"Number of stored objects at the time of last check split by kind.", []string{"group", "resource"}, nil, metrics.ALPHA, "")
	resourceSize = metrics.NewDesc("apiserver_resource_size_estimate_bytes",
		"Estimated size of stored objects. Estimate is based on sum of last observed sizes of serialized objects.",
		[]string{"group", "resource"}, nil, metrics.ALPHA, "")
	buildInfo = metrics.NewDesc("kubernetes_build_info",
		"A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
		[]string{"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform"}, nil, metrics.ALPHA, "")
)

// collector shows, when it is asked, what the registry holds.
type collector struct {
	metrics.BaseStableCollector
	registry *registry.Registry
}

var _ metrics.StableCollector = (*collector)(nil)

// registerMetrics adds the collector to the process's metrics. A process that runs
// several servers, as tests do, shows the first.
func registerMetrics(r *registry.Registry) {
	_ = legacyregistry.CustomRegister(&collector{registry: r})
}

// DescribeWithStability implements metrics.StableCollector.
func (*collector) DescribeWithStability(ch chan<- *metrics.Desc) {
	ch <- resourceObjects
	ch <- resourceSize
	ch <- buildInfo
}

// CollectWithStability implements metrics.StableCollector.
func (c *collector) CollectWithStability(ch chan<- metrics.Metric) {
	for _, gr := range c.registry.Stored() {
		stats, ok := c.registry.Stats(gr)
		if !ok {
			continue
		}
		ch <- metrics.NewLazyConstMetric(resourceObjects, metrics.GaugeValue, float64(stats.ObjectCount), gr.Group, gr.Resource)
		size := float64(stats.ObjectCount * stats.EstimatedAverageObjectSizeBytes)
		ch <- metrics.NewLazyConstMetric(resourceSize, metrics.GaugeValue, size, gr.Group, gr.Resource)
	}
	v := levelled{}.Info()
	ch <- metrics.NewLazyConstMetric(buildInfo, metrics.GaugeValue, 1,
		v.Major, v.Minor, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform)
}
