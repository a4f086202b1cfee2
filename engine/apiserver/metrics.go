package apiserver

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	etcd3metrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/prometheus/compatversion"
	// Calls of clients (rest_client_*) are measured for whoever imports this.
	_ "k8s.io/component-base/metrics/prometheus/restclient"

	"github.com/pintle-io/pintle/engine/registry"
)

var buildInfo = metrics.NewDesc("kubernetes_build_info",
	"A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
	[]string{"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform"}, nil, metrics.ALPHA, "")

// collector shows what was built.
type collector struct {
	metrics.BaseStableCollector
}

var _ metrics.StableCollector = (*collector)(nil)

// registerMetrics adds what upstream's libraries do not collect by themselves. In a
// process that runs several servers, as tests do, the last counts the objects.
func registerMetrics(r *registry.Registry, size func() int64) {
	// Fails only if it was done before, which is as good.
	_ = legacyregistry.CustomRegister(&collector{})
	// Nothing is counted yet: that would read every object before the server answers.
	counts := &objectCounts{registry: r, shown: map[schema.GroupResource]bool{}}
	utilfeature.DefaultMutableFeatureGate.AddMetrics()
	version := compatibility.DefaultBuildEffectiveVersion()
	compatversion.RecordCompatVersionInfo(context.Background(), basecompatibility.DefaultKubeComponent,
		version.BinaryVersion().String(), version.EmulationVersion().String(), version.MinCompatibilityVersion().String())
	// The getter is called at every scrape, for the size of the store. It is also the
	// moment to count the objects; a scrape may show the counts of the one before.
	etcd3metrics.SetStorageMonitorGetter(func() ([]etcd3metrics.Monitor, error) {
		counts.update()
		if size == nil {
			return nil, nil
		}
		return []etcd3metrics.Monitor{storeSize(size)}, nil
	})
}

// storeSize tells the bytes of the store on disk.
type storeSize func() int64

// Monitor implements etcd3metrics.Monitor.
func (s storeSize) Monitor(context.Context) (etcd3metrics.StorageMetrics, error) {
	return etcd3metrics.StorageMetrics{Size: s()}, nil
}

// Close implements etcd3metrics.Monitor.
func (storeSize) Close() error { return nil }

// DescribeWithStability implements metrics.StableCollector.
func (*collector) DescribeWithStability(ch chan<- *metrics.Desc) { ch <- buildInfo }

// CollectWithStability implements metrics.StableCollector.
func (*collector) CollectWithStability(ch chan<- metrics.Metric) {
	v := levelled{}.Info()
	ch <- metrics.NewLazyConstMetric(buildInfo, metrics.GaugeValue, 1,
		v.Major, v.Minor, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform)
}

// objectCounts keeps apiserver_resource_objects and its like.
type objectCounts struct {
	registry *registry.Registry
	mu       sync.Mutex
	shown    map[schema.GroupResource]bool
}

// update counts every resource, and forgets those that are gone.
func (c *objectCounts) update() {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.shown
	c.shown = map[schema.GroupResource]bool{}
	for _, gr := range c.registry.Stored() {
		stats, ok := c.registry.Stats(gr)
		if !ok {
			continue
		}
		etcd3metrics.UpdateStoreStats(gr, stats, nil)
		c.shown[gr] = true
		delete(gone, gr)
	}
	for gr := range gone {
		etcd3metrics.DeleteStoreStats(gr)
	}
}
