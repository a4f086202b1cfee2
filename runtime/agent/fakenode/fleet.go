// Package fakenode pretends to be many nodes at once, for tests of scale: it
// registers them, renews their leases, and reports the pods bound to them as
// running after a set delay, without running anything.
//
// A fleet is one informer, one queue and a few workers, however many nodes it
// has; its cost when idle is the lease renewals, spread evenly over time.
package fakenode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Writer writes to the API. The server's in-process client is one; Clientset
// makes one of any client.
type Writer interface {
	Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error)
	// UpdateFunc reads, changes and writes one object or subresource, again if
	// somebody else wrote in between.
	UpdateFunc(ctx context.Context, gvr schema.GroupVersionResource, namespace, name, subresource string, change func(runtime.Object) error) (runtime.Object, error)
	Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error
}

// Config of a Fleet. Count, Writer and Pods are required.
type Config struct {
	Count int
	// Prefix of node names (default "fake-").
	Prefix string
	// Delay between a pod's binding and its running.
	Delay time.Duration
	// Capacity of every node (default 32 CPU, 256 GiB, 110 pods).
	Capacity corev1.ResourceList
	// Zones is how many zones the nodes are spread over (default 3).
	Zones int
	// Taints of every node.
	Taints []corev1.Taint
	Writer Writer
	// Pods is a running informer of all pods; its objects are only read.
	Pods cache.SharedIndexInformer
	// Workers is how many writes are under way at once (default 32).
	Workers int
	Logger  *slog.Logger
}

// Fleet is a number of fake nodes.
type Fleet struct {
	cfg    Config
	names  map[string]int // node name to index
	queue  workqueue.TypedRateLimitingInterface[cache.ObjectName]
	lastIP atomic.Uint32

	mu struct {
		sync.Mutex
		owners map[string]metav1.OwnerReference // of leases, by node name
	}
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Fleet, error) {
	if cfg.Count < 1 || cfg.Writer == nil || cfg.Pods == nil {
		return nil, errors.New("fakenode: Count, Writer and Pods are required")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "fake-"
	}
	if cfg.Capacity == nil {
		cfg.Capacity = defaultCapacity()
	}
	if cfg.Zones == 0 {
		cfg.Zones = 3
	}
	if cfg.Workers == 0 {
		cfg.Workers = 32
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{cfg: cfg, names: make(map[string]int, cfg.Count)}
	for i := range cfg.Count {
		f.names[f.name(i)] = i
	}
	f.mu.owners = map[string]metav1.OwnerReference{}
	return f, nil
}

func (f *Fleet) name(i int) string { return fmt.Sprintf("%s%d", f.cfg.Prefix, i) }

// Run registers the nodes and serves them until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	f.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	reg, err := f.cfg.Pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { f.seen(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { f.seen(o.(*corev1.Pod)) },
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := f.cfg.Pods.RemoveEventHandler(reg); err != nil {
			f.cfg.Logger.Error("remove pod handler", "err", err)
		}
	}()
	if err := f.register(ctx); err != nil {
		return err
	}
	f.cfg.Logger.Info("fake nodes registered", "count", f.cfg.Count)
	if !cache.WaitForCacheSync(ctx.Done(), reg.HasSynced) {
		return nil
	}
	f.lastIP.Store(highestIP(f.cfg.Pods.GetStore().List()))
	g, ctx := errgroup.WithContext(ctx)
	for range f.cfg.Workers {
		g.Go(func() error {
			for f.next(ctx) {
			}
			return nil
		})
	}
	g.Go(func() error { f.renew(ctx); return nil })
	g.Go(func() error { <-ctx.Done(); f.queue.ShutDown(); return nil })
	return g.Wait()
}

// seen queues a pod of ours that waits for something.
func (f *Fleet) seen(pod *corev1.Pod) {
	if _, ours := f.names[pod.Spec.NodeName]; !ours {
		return
	}
	name := cache.MetaObjectToName(pod)
	switch decide(pod) {
	case remove:
		f.queue.Add(name)
	case run:
		f.queue.AddAfter(name, f.cfg.Delay)
	}
}

func (f *Fleet) next(ctx context.Context) bool {
	name, stop := f.queue.Get()
	if stop {
		return false
	}
	defer f.queue.Done(name)
	if err := f.act(ctx, name); err != nil && ctx.Err() == nil {
		f.cfg.Logger.Debug("fake pod, will retry", "namespace", name.Namespace, "name", name.Name, "err", err)
		f.queue.AddRateLimited(name)
		return true
	}
	f.queue.Forget(name)
	return true
}

var (
	podsResource   = corev1.SchemeGroupVersion.WithResource("pods")
	errNothingToDo = errors.New("nothing to do")
)

func (f *Fleet) act(ctx context.Context, name cache.ObjectName) error {
	o, ok, err := f.cfg.Pods.GetStore().GetByKey(name.String())
	if err != nil || !ok {
		return err
	}
	pod := o.(*corev1.Pod)
	switch decide(pod) {
	case remove:
		zero := int64(0)
		err = f.cfg.Writer.Delete(ctx, podsResource, name.Namespace, name.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
	case run:
		now := metav1.Now()
		_, err = f.cfg.Writer.UpdateFunc(ctx, podsResource, name.Namespace, name.Name, "status", func(o runtime.Object) error {
			fresh := o.(*corev1.Pod)
			if fresh.UID != pod.UID || decide(fresh) != run {
				return errNothingToDo
			}
			setRunning(fresh, f.hostIP(fresh.Spec.NodeName), f.nextIP(), now)
			return nil
		})
	}
	if errors.Is(err, errNothingToDo) || apierrors.IsNotFound(err) || apierrors.IsConflict(err) && decide(pod) == remove {
		return nil
	}
	return err
}
