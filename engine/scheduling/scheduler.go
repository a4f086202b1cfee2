package scheduling

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/record"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/wasm/abi"
)

// DefaultName is the schedulerName this scheduler answers to.
const DefaultName = corev1.DefaultSchedulerName

// Client writes to the API; engine/client satisfies it.
type Client interface {
	CreateSubresource(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error)
	UpdateFunc(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, change func(obj runtime.Object) error) (runtime.Object, error)
	Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error
}

// Placer chooses nodes for a batch of pods. It is called from one goroutine, must
// return within a bounded time, and its answer need not be believed.
type Placer interface {
	// Identity names the decider in decision records: NAME@sha256:DIGEST, or "native".
	Identity() string
	Place(ctx context.Context, s *abi.Snapshot, b *abi.Batch) (abi.Answer, error)
}

// Config of a Scheduler. Placer, Budgets, Name and Seed are
// optional.
type Config struct {
	Client    Client
	Informers informers.SharedInformerFactory
	// Placer decides; Fallback decides for what Placer fails to, and alone while
	// Placer is nil (see Scheduler.Use).
	Placer, Fallback Placer
	Decisions        *decision.Log
	Recorder         record.EventRecorder
	// Budgets, if set, are heeded when pods are preempted.
	Budgets policylisters.PodDisruptionBudgetLister
	Logger  *slog.Logger
	// Name is the schedulerName served; empty selects DefaultName.
	Name string
	// Seed breaks ties between equal nodes.
	Seed uint64
}

// Validate reports what is missing.
func (c *Config) Validate() error {
	if c.Client == nil || c.Informers == nil || c.Fallback == nil || c.Decisions == nil || c.Recorder == nil || c.Logger == nil {
		return errors.New("scheduling: Client, Informers, Fallback, Decisions, Recorder and Logger are required")
	}
	return nil
}

// Scheduler is the running scheduler. See the package comment for its goroutines.
type Scheduler struct {
	config Config
	inbox  *inbox
	// handover is how the loop is given a new setup.
	handover handover
	// running is true while the loop answers questions.
	running atomic.Bool

	cluster *cluster
	queue   *queue
	// foreign are unscheduled pods of schedulers that are not served.
	foreign map[types.UID]*corev1.Pod
	setup   setup
	// fallback decides about what nobody else could.
	fallback Strategy
	seed     uint64

	bindings  chan binding
	reports   chan report
	evictions chan eviction
	stopped   chan struct{}  // closed when Run is to end
	slow      sync.WaitGroup // bindings that wait for volumes
}

// New returns a scheduler and subscribes it to the informers, which the caller
// starts.
func New(c Config) (*Scheduler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	s := &Scheduler{
		config: c, inbox: newInbox(), cluster: newCluster(), queue: newQueue(), seed: c.Seed,
		foreign:  map[types.UID]*corev1.Pod{},
		fallback: Strategy{Placer: c.Fallback, Health: strategy.NewHealth(true, nil)},
		bindings: make(chan binding, 2*batchPods), reports: make(chan report, 2*batchPods),
		evictions: make(chan eviction, batchPods), stopped: make(chan struct{}),
	}
	if c.Placer != nil {
		s.Use(c.Placer)
	}
	if err := s.subscribe(); err != nil {
		return nil, err
	}
	return s, nil
}

// Run schedules until ctx ends. It may be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { close(s.stopped) })()
	g, ctx := errgroup.WithContext(ctx)
	for range bindWorkers {
		g.Go(func() error { return s.bindLoop(ctx) })
	}
	for range reportWorkers {
		g.Go(func() error { return s.reportLoop(ctx) })
	}
	g.Go(func() error { return s.evictLoop(ctx) })
	g.Go(func() error { return s.loop(ctx) })
	err := g.Wait()
	s.slow.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// loop is the goroutine that owns the state.
func (s *Scheduler) loop(ctx context.Context) error {
	if !s.waitForSync(ctx) {
		return ctx.Err()
	}
	s.running.Store(true)
	defer s.running.Store(false)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last time.Time // of a batch
	for {
		now := time.Now()
		for _, e := range s.inbox.take() {
			s.observe(e, now)
		}
		s.adopt(now)
		s.queue.flush(now)
		wait := s.queue.wait(now)
		if n := len(s.queue.active); n > 0 {
			if wait = gather(n, now.Sub(last)); wait <= 0 {
				last = now
				s.schedule(ctx, s.queue.pop(batchPods), now)
				continue
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.inbox.ready:
		case <-timer.C:
		}
	}
}

// gather is how long to wait for more pods when n are ready and the last batch
// began so long ago. A batch costs scans of all nodes however few its pods, so
// pods that trickle in share some; the first after a pause never waits.
func gather(n int, ago time.Duration) time.Duration {
	const enough, most = 64, 5 * time.Millisecond
	if n >= enough {
		return 0
	}
	return most - ago
}
