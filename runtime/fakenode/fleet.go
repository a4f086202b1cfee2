package fakenode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// API is what a Fleet writes. Calls are concurrent.
type API interface {
	// EnsureNode creates the node if it is not there.
	EnsureNode(ctx context.Context, node *corev1.Node) error
	// RenewLease says that the node is alive, for at least leaseSeconds.
	RenewLease(ctx context.Context, node string, leaseSeconds int32, now time.Time) error
	// SetPodStatus reports a pod's status; a pod that is gone, or another of that
	// name, is no error.
	SetPodStatus(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus) error
	// DeletePod deletes that very pod without grace; a missing one is no error.
	DeletePod(ctx context.Context, namespace, name string, uid types.UID) error
}

// Config describes a Fleet. API, Pods and Count are required.
type Config struct {
	API API
	// Pods of all nodes; the caller starts the informer after New.
	Pods coreinformers.PodInformer
	// Count is how many nodes there are, named fake-0 to fake-(Count-1).
	Count int
	// Delay is the time from binding to running (default 100 ms).
	Delay time.Duration
	// Label marks the nodes, with the value "true".
	Label  string
	Logger *slog.Logger
}

const (
	prefix  = "fake-"
	workers = 16
	zones   = 3
	// Leases are renewed well within what node lifecycle allows, and in a few rounds
	// of writes that are under way together: they then share commits, and a thousand
	// nodes wake the server five times in renewEvery, not a thousand times.
	renewEvery   = 25 * time.Second
	renewRounds  = 5
	renewers     = 64
	leaseSeconds = 40
)

// Fleet is a number of fake nodes.
type Fleet struct {
	cfg     Config
	lister  corelisters.PodLister
	synced  cache.InformerSynced
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]
	address atomic.Uint32 // last pod address given
}

// New subscribes to the pods. It starts nothing.
func New(cfg Config) (*Fleet, error) {
	if cfg.API == nil || cfg.Pods == nil || cfg.Count <= 0 {
		return nil, errors.New("fakenode: API, Pods and a positive Count are required")
	}
	if cfg.Delay == 0 {
		cfg.Delay = 100 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{
		cfg: cfg, lister: cfg.Pods.Lister(), synced: cfg.Pods.Informer().HasSynced,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](50*time.Millisecond, 10*time.Second)),
	}
	add := func(obj any) {
		if pod, ok := obj.(*corev1.Pod); ok && f.ours(pod.Spec.NodeName) {
			f.queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	_, err := cfg.Pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) },
	})
	return f, err
}

// ours says whether a name is that of one of the fleet's nodes.
func (f *Fleet) ours(node string) bool {
	index, ok := strings.CutPrefix(node, prefix)
	if !ok {
		return false
	}
	i, err := strconv.Atoi(index)
	return err == nil && i >= 0 && i < f.cfg.Count
}

// Run registers the nodes and serves them until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	if err := f.register(ctx); err != nil {
		return err
	}
	if !cache.WaitForCacheSync(ctx.Done(), f.synced) {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, f.queue.ShutDown)
	for range workers {
		group.Go(func() error {
			for f.next(ctx) {
			}
			return nil
		})
	}
	group.Go(func() error { f.renew(ctx); return nil })
	return group.Wait()
}

func (f *Fleet) register(ctx context.Context) error {
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range f.cfg.Count {
		group.Go(func() error {
			name := prefix + strconv.Itoa(i)
			if err := f.cfg.API.EnsureNode(all, node(name, i, f.cfg.Label, time.Now())); err != nil {
				return fmt.Errorf("register %s: %w", name, err)
			}
			if err := f.cfg.API.RenewLease(all, name, leaseSeconds, time.Now()); err != nil {
				return fmt.Errorf("renew the lease of %s: %w", name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// renew renews every lease once in renewEvery, a share of them in each round.
func (f *Fleet) renew(ctx context.Context) {
	tick := time.NewTicker(renewEvery / renewRounds)
	defer tick.Stop()
	for round := 0; ; round = (round + 1) % renewRounds {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.renewShare(ctx, round, now)
		}
	}
}

// renewShare renews the leases of one round.
func (f *Fleet) renewShare(ctx context.Context, round int, now time.Time) {
	var group errgroup.Group
	group.SetLimit(renewers)
	for i := round; i < f.cfg.Count; i += renewRounds {
		group.Go(func() error {
			name := prefix + strconv.Itoa(i)
			if err := f.cfg.API.RenewLease(ctx, name, leaseSeconds, now); err != nil && ctx.Err() == nil {
				f.cfg.Logger.Warn("lease not renewed", "node", name, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // each has logged its own
}

func (f *Fleet) next(ctx context.Context) bool {
	key, shutdown := f.queue.Get()
	if shutdown {
		return false
	}
	defer f.queue.Done(key)
	pod, err := f.lister.Pods(key.Namespace).Get(key.Name)
	if err != nil {
		f.queue.Forget(key) // gone
		return true
	}
	if err := f.serve(ctx, key, pod); err != nil {
		if ctx.Err() == nil {
			f.cfg.Logger.Info("pod not served, will retry", "namespace", key.Namespace, "name", key.Name, "err", err)
		}
		f.queue.AddRateLimited(key)
		return true
	}
	f.queue.Forget(key)
	return true
}

func (f *Fleet) serve(ctx context.Context, key types.NamespacedName, pod *corev1.Pod) error {
	ip := pod.Status.PodIP
	if ip == "" {
		ip = f.podIP()
	}
	next := plan(pod, ip, hostIP(pod.Spec.NodeName), f.cfg.Delay, time.Now())
	switch {
	case next.remove:
		return f.cfg.API.DeletePod(ctx, pod.Namespace, pod.Name, pod.UID)
	case next.status != nil:
		return f.cfg.API.SetPodStatus(ctx, pod, next.status)
	case next.after > 0:
		f.queue.AddAfter(key, next.after)
	}
	return nil
}

// podIP draws from 100.64.0.0/10, the range shared by carriers, so that it meets
// no real pod's.
func (f *Fleet) podIP() string {
	n := f.address.Add(1)
	return fmt.Sprintf("100.%d.%d.%d", 64+(n>>16)%64, byte(n>>8), byte(n))
}

// hostIP is made of the node's number.
func hostIP(node string) string {
	i, _ := strconv.Atoi(strings.TrimPrefix(node, prefix))
	return fmt.Sprintf("198.18.%d.%d", byte(i>>8), byte(i))
}
