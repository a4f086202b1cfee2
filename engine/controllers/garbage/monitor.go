package garbage

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// rediscover is how often the collector looks for resources that came or went: soon
// after a start and after a change of what defines them, then less and less often.
const (
	rediscoverSoon = 200 * time.Millisecond
	rediscover     = 30 * time.Second
)

// definers are the resources whose objects define others.
var definers = map[string]bool{"customresourcedefinitions": true, "apiservices": true}

// monitors watch every resource and feed the graph.
type monitors struct {
	client  *client.Client
	catalog *catalog.Catalog
	graph   *graph
	// redefined tells that what defines resources has changed.
	redefined chan struct{}

	mu struct {
		sync.Mutex
		running map[schema.GroupVersionResource]context.CancelFunc
		kinds   map[schema.GroupKind]catalog.Resource
	}
	wg sync.WaitGroup
}

func newMonitors(c *client.Client, cat *catalog.Catalog, g *graph) *monitors {
	m := &monitors{client: c, catalog: cat, graph: g, redefined: make(chan struct{}, 1)}
	m.mu.running = map[schema.GroupVersionResource]context.CancelFunc{}
	m.mu.kinds = map[schema.GroupKind]catalog.Resource{}
	for _, r := range cat.BuiltIn() {
		m.mu.kinds[r.Kind.GroupKind()] = r
	}
	return m
}

// run watches until ctx ends.
func (m *monitors) run(ctx context.Context, c *reconcile.Controller) error {
	defer m.wg.Wait()
	for _, r := range m.catalog.BuiltIn() {
		if r.Resource == "events" {
			continue // they own nothing and expire by themselves
		}
		m.start(ctx, c, r)
	}
	wait := rediscoverSoon
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		m.refresh(ctx, c)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-m.redefined:
			wait = rediscoverSoon
		case <-timer.C:
			wait = min(2*wait, rediscover)
		}
	}
}

// refresh starts watching what came and stops watching what went. A failed
// discovery stops nothing.
func (m *monitors) refresh(ctx context.Context, c *reconcile.Controller) {
	others, err := m.catalog.Others()
	seen := map[schema.GroupVersionResource]bool{}
	for _, r := range others {
		seen[r.GroupVersionResource] = true
		m.mu.Lock()
		m.mu.kinds[r.Kind.GroupKind()] = r
		m.mu.Unlock()
		m.start(ctx, c, r)
	}
	if err != nil {
		return
	}
	for _, r := range m.catalog.BuiltIn() {
		seen[r.GroupVersionResource] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for gvr, stop := range m.mu.running {
		if !seen[gvr] {
			stop()
			delete(m.mu.running, gvr)
		}
	}
}

// resourceOf returns the resource of a kind named in an owner reference.
func (m *monitors) resourceOf(gk schema.GroupKind) (catalog.Resource, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.mu.kinds[gk]
	return r, ok
}

func enqueue(c *reconcile.Controller, uids []types.UID) {
	for _, uid := range uids {
		c.Enqueue(reconcile.Key{Name: string(uid)})
	}
}

func (m *monitors) start(ctx context.Context, c *reconcile.Controller, r catalog.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, running := m.mu.running[r.GroupVersionResource]; running {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	m.mu.running[r.GroupVersionResource] = stop
	sink := &sink{resource: r, graph: m.graph, enqueue: func(uids []types.UID) { enqueue(c, uids) }}
	if definers[r.Resource] {
		sink.redefined = m.redefined
	}
	var expected runtime.Object
	if !r.BuiltIn {
		expected = &metav1.PartialObjectMetadata{}
	}
	reflector := cache.NewReflectorWithOptions(m.client.ListerWatcher(r.GroupVersionResource), expected, sink, cache.ReflectorOptions{
		Name: "garbage/" + r.Resource, TypeDescription: r.Kind.String(),
	})
	m.wg.Go(func() { reflector.RunWithContext(ctx) })
}

// sink is the store of one reflector: it passes changes to the graph and keeps
// nothing itself.
type sink struct {
	resource catalog.Resource
	graph    *graph
	enqueue  func([]types.UID)
	listed   bool
	// redefined, if set, is told of every change.
	redefined chan<- struct{}
}

func (s *sink) tell() {
	select {
	case s.redefined <- struct{}{}:
	default:
	}
}

func (s *sink) Add(obj any) error    { return s.put(obj) }
func (s *sink) Update(obj any) error { return s.put(obj) }

func (s *sink) put(obj any) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	s.enqueue(s.graph.put(s.resource, m))
	s.tell()
	return nil
}

func (s *sink) Delete(obj any) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	s.enqueue(s.graph.drop(m.GetUID()))
	s.tell()
	return nil
}

// Replace takes a fresh list. After a gap in the watch nobody knows what vanished
// meanwhile, so everything linked is looked at again.
func (s *sink) Replace(list []any, _ string) error {
	for _, obj := range list {
		if err := s.put(obj); err != nil {
			return err
		}
	}
	if s.listed {
		s.enqueue(s.graph.all())
	}
	s.listed = true
	return nil
}

// Resync has nothing to repeat.
func (s *sink) Resync() error { return nil }
