package resourcequota

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// unwanted is how long a resource is watched after it was last asked for; quotas
// ask at least every resync.
const unwanted = 2*resync + time.Minute

// monitors watch the resources that some quota counts as count/RESOURCE.GROUP and
// wake those quotas when objects come and go. One goroutine, run, owns the list.
type monitors struct {
	client   *client.Client
	counting func(namespace string, match func([]corev1.ResourceName) bool) []reconcile.Key
	wanted   chan catalog.Resource
}

type monitor struct {
	stop  context.CancelFunc
	asked time.Time
}

func newMonitors(c *client.Client, counting func(string, func([]corev1.ResourceName) bool) []reconcile.Key) *monitors {
	return &monitors{client: c, counting: counting, wanted: make(chan catalog.Resource)}
}

// want asks for a resource to be watched.
func (m *monitors) want(ctx context.Context, r catalog.Resource) {
	select {
	case m.wanted <- r:
	case <-ctx.Done():
	}
}

// run watches until ctx ends.
func (m *monitors) run(ctx context.Context, c *reconcile.Controller) error {
	var watchers sync.WaitGroup
	defer watchers.Wait()
	running := map[schema.GroupVersionResource]*monitor{}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, one := range running {
				one.stop()
			}
			return nil
		case now := <-tick.C:
			for gvr, one := range running {
				if now.Sub(one.asked) > unwanted {
					one.stop()
					delete(running, gvr)
				}
			}
		case r := <-m.wanted:
			if running[r.GroupVersionResource] == nil {
				watchCtx, stop := context.WithCancel(ctx)
				running[r.GroupVersionResource] = &monitor{stop: stop}
				reflector := m.reflector(r, c)
				watchers.Go(func() { reflector.RunWithContext(watchCtx) })
			}
			running[r.GroupVersionResource].asked = time.Now()
		}
	}
}

func (m *monitors) reflector(r catalog.Resource, c *reconcile.Controller) *cache.Reflector {
	var expected runtime.Object
	if !r.BuiltIn {
		expected = &metav1.PartialObjectMetadata{}
	}
	name := generic.ObjectCountQuotaResourceNameFor(r.GroupResource())
	wake := func(namespace string) {
		for _, key := range m.counting(namespace, func(names []corev1.ResourceName) bool { return slices.Contains(names, name) }) {
			c.EnqueueAfter(key, gather)
		}
	}
	return cache.NewReflectorWithOptions(m.client.ListerWatcher(r.GroupVersionResource), expected, sink(wake), cache.ReflectorOptions{
		Name: "resourcequota/" + r.Resource, TypeDescription: r.Kind.String(),
	})
}

// sink is the store of one reflector: it keeps nothing, and tells in which
// namespace (in all, if empty) the number of objects changed.
type sink func(namespace string)

func (s sink) Add(obj any) error    { return s.changed(obj) }
func (s sink) Delete(obj any) error { return s.changed(obj) }

func (s sink) changed(obj any) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	s(m.GetNamespace())
	return nil
}

// Update changes no number.
func (s sink) Update(any) error { return nil }

// Replace takes a fresh list; nobody knows what vanished before it.
func (s sink) Replace([]any, string) error {
	s(metav1.NamespaceAll)
	return nil
}

// Resync has nothing to repeat.
func (s sink) Resync() error { return nil }
