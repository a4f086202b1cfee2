package store

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	cachermetrics "k8s.io/apiserver/pkg/storage/cacher/metrics"
	etcd3metrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	storagemetrics "k8s.io/apiserver/pkg/storage/metrics"
	"k8s.io/component-base/metrics"
)

// The series have upstream's names, so that its dashboards and alerts show a Pintle
// cluster: a write to disk is what they call a request to etcd, and the index in
// memory what they call the watch cache.
var registerMetrics = sync.OnceFunc(func() {
	etcd3metrics.Register()
	storagemetrics.Register()
	cachermetrics.Register()
})

// series are those of one Resource.
type series struct {
	resource schema.GroupResource
	// received are the events that went into the index, dispatched those that the
	// watches may see: here, the same. terminated are the watches that were too slow.
	received, dispatched, consistent, terminated metrics.CounterMetric
}

func newSeries(gr schema.GroupResource) series {
	return series{
		resource:   gr,
		received:   cachermetrics.EventsReceivedCounter.WithLabelValues(gr.Group, gr.Resource),
		dispatched: cachermetrics.EventsCounter.WithLabelValues(gr.Group, gr.Resource),
		consistent: cachermetrics.ConsistentReadTotal.WithLabelValues(gr.Group, gr.Resource, "true", "false"),
		terminated: cachermetrics.TerminatedWatchersCounter.WithLabelValues(gr.Group, gr.Resource),
	}
}

// published counts events that were applied, the last at revision rev.
func (c *series) published(events int, rev int64) {
	c.received.Add(float64(events))
	c.dispatched.Add(float64(events))
	cachermetrics.RecordResourceVersion(c.resource, uint64(rev))
}

// loaded counts one reading of the index, of n objects, from disk.
func (c *series) loaded(n int, began time.Time) {
	group, resource := c.resource.Group, c.resource.Resource
	etcd3metrics.RecordEtcdRequest("list", c.resource, nil, began)
	cachermetrics.WatchCacheInitializations.WithLabelValues(group, resource).Inc()
	cachermetrics.WatchCacheInitializationDuration.WithLabelValues(group, resource).Observe(time.Since(began).Seconds())
	cachermetrics.InitCounter.WithLabelValues(group, resource).Add(float64(n))
}

// listed counts a list that looked at so many objects.
func (c *series) listed(looked, returned int, began time.Time) {
	cachermetrics.RecordListCacheMetrics(c.resource, "", looked, returned)
	etcd3metrics.RecordListLatency(c.resource, false, began)
}

// wrote counts a write and how long it took to be durable. A conflict is an answer.
func (c *series) wrote(verb string, err error, began time.Time) {
	if isConflict(err) {
		err = nil
	}
	etcd3metrics.RecordEtcdRequest(verb, c.resource, err, began)
}
