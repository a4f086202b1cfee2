package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

// Watch turns the changes of one kind into keys; On and Self make one.
type Watch struct {
	informer cache.SharedIndexInformer
	kind     reflect.Type
	keys     func(obj any) []Key
	// Skip, if set, drops updates that change nothing the plan looks at.
	Skip func(old, new any) bool
	// Delay, if positive, gathers changes for that long before planning.
	Delay time.Duration
}

// On watches the objects of type T. keys names what an object concerns; it is
// called for the new object and, on updates, for the old one too, and must not
// change the object.
func On[T any](informer cache.SharedIndexInformer, keys func(obj T) []Key) Watch {
	return Watch{
		informer: informer,
		kind:     reflect.TypeFor[T](),
		keys: func(obj any) []Key {
			typed, ok := obj.(T)
			if !ok {
				return nil
			}
			return keys(typed)
		},
	}
}

// Self watches the objects that keys are named after.
func Self[T metav1.Object](informer cache.SharedIndexInformer) Watch {
	return On(informer, func(obj T) []Key { return []Key{KeyOf(obj)} })
}

// Metrics receives one call per planned key; outcome is ok, retry, error or panic.
type Metrics interface {
	Reconciled(controller, outcome string, took time.Duration)
}

// Config describes a controller. Name, Reconcile and Writer are required.
type Config struct {
	Name string
	// Workers is how many keys are worked on at a time; zero selects 4.
	Workers int
	Watches []Watch
	// Reconcile observes the caches and plans one key.
	Reconcile func(ctx context.Context, key Key, now time.Time) (Result, error)
	Writer    Writer
	Recorder  record.EventRecorder
	Logger    *slog.Logger
	Metrics   Metrics
	// MaxBackoff bounds the time between retries; zero selects two minutes.
	MaxBackoff time.Duration
	// Lead, if set, waits until this process may act, before each plan. The context it
	// returns refuses the plan's writes if that has ended since; an error means that
	// ctx ended.
	Lead func(ctx context.Context) (context.Context, error)
	// Start, if set, runs beside the workers (an initial key, a timer).
	Start func(ctx context.Context, c *Controller) error
}

// Controller is one running loop. See the package doc for its protocol.
type Controller struct {
	cfg    Config
	log    *slog.Logger
	queue  workqueue.TypedRateLimitingInterface[Key]
	synced []cache.InformerSynced
	caches caches

	mu struct {
		sync.Mutex
		waiting map[Key][]written
	}
}

// New builds a controller and registers its event handlers; informers asked for
// by its watches must be started after this. It starts no goroutine of its own
// but the queue's, which Run ends.
func New(cfg Config) (*Controller, error) {
	if cfg.Name == "" || cfg.Reconcile == nil || cfg.Writer == nil {
		return nil, errors.New("reconcile: Name, Reconcile and Writer are required")
	}
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 2 * time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Recorder == nil {
		cfg.Recorder = &record.FakeRecorder{}
	}
	c := &Controller{
		cfg:    cfg,
		log:    cfg.Logger.With("controller", cfg.Name),
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[Key](5*time.Millisecond, cfg.MaxBackoff)),
		caches: caches{},
	}
	c.mu.waiting = map[Key][]written{}
	for _, w := range cfg.Watches {
		if err := c.watch(w); err != nil {
			return nil, fmt.Errorf("controller %s: %w", cfg.Name, err)
		}
	}
	return c, nil
}

// Name is the controller's name.
func (c *Controller) Name() string { return c.cfg.Name }

// Enqueue plans a key soon.
func (c *Controller) Enqueue(key Key) { c.queue.Add(key) }

// EnqueueAfter plans a key after d.
func (c *Controller) EnqueueAfter(key Key, d time.Duration) { c.queue.AddAfter(key, d) }

func (c *Controller) watch(w Watch) error {
	enqueue := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		for _, key := range w.keys(obj) {
			if w.Delay > 0 {
				c.queue.AddAfter(key, w.Delay)
			} else {
				c.queue.Add(key)
			}
		}
	}
	reg, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue,
		UpdateFunc: func(old, obj any) {
			if w.Skip != nil && w.Skip(old, obj) {
				return
			}
			enqueue(old)
			enqueue(obj)
		},
		DeleteFunc: enqueue,
	})
	if err != nil {
		return err
	}
	c.synced = append(c.synced, reg.HasSynced)
	c.caches[w.kind] = w.informer.GetIndexer()
	return nil
}

// Run works until ctx ends. It waits for its informers, which the composition
// root starts, and returns nil on an ordered end.
func (c *Controller) Run(ctx context.Context) error {
	defer c.queue.ShutDown()
	if !waitSynced(ctx, c.synced) {
		return nil
	}
	stop := context.AfterFunc(ctx, c.queue.ShutDown)
	defer stop()
	var workers sync.WaitGroup
	for range c.cfg.Workers {
		workers.Go(func() { c.work(ctx) })
	}
	var err error
	if c.cfg.Start != nil {
		err = c.cfg.Start(ctx, c)
	}
	workers.Wait()
	return err
}

// waitSynced waits until all informers have delivered their first list.
func waitSynced(ctx context.Context, synced []cache.InformerSynced) bool {
	return len(synced) == 0 || cache.WaitForCacheSync(ctx.Done(), synced...)
}

func (c *Controller) work(ctx context.Context) {
	for {
		key, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		c.step(ctx, key)
		c.queue.Done(key)
	}
}

// step works on one key and decides when it comes back.
func (c *Controller) step(ctx context.Context, key Key) {
	if c.cfg.Lead != nil {
		leading, err := c.cfg.Lead(ctx)
		if err != nil {
			return
		}
		ctx = leading
	}
	if wait := c.behind(key); wait > 0 {
		c.queue.AddAfter(key, wait)
		return
	}
	start := time.Now()
	result, err := c.once(ctx, key, start)
	outcome := "ok"
	switch {
	case err == nil, quiet(err):
		c.queue.Forget(key)
		if result.RequeueAfter > 0 {
			c.queue.AddAfter(key, result.RequeueAfter)
		}
	case ctx.Err() != nil:
		return
	case ordinary(err):
		outcome = "retry"
		c.log.Debug("retry", "key", key.String(), "err", err)
		c.queue.AddRateLimited(key)
	default:
		outcome = "error"
		c.log.Warn("reconcile", "key", key.String(), "err", err)
		c.queue.AddRateLimited(key)
	}
	if c.cfg.Metrics != nil {
		c.cfg.Metrics.Reconciled(c.cfg.Name, outcome, time.Since(start))
	}
}

// once plans and acts; a panic becomes an error.
func (c *Controller) once(ctx context.Context, key Key, now time.Time) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	result, err = c.cfg.Reconcile(ctx, key, now)
	if err != nil {
		return result, err
	}
	run := &execution{controller: c, key: key}
	err = run.all(ctx, result)
	c.wrote(key, run.written)
	return result, err
}

// ordinary reports that somebody else was faster.
func ordinary(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
}
