package controllers_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// faults stands between the controllers of one process and the store. It harms one
// write in harm, and lets the process crash before or after one: nothing of a dead
// process reaches the store any more.
type faults struct {
	harm    int
	crashed chan struct{} // closed by the crash
	dead    atomic.Bool

	mu       sync.Mutex
	random   *rand.Rand
	fuse     int // writes until the crash
	injected map[string]int
}

func newFaults(seed uint64, harm int) *faults {
	random := rand.New(rand.NewPCG(seed, 1))
	return &faults{harm: harm, crashed: make(chan struct{}), random: random, fuse: 10 + random.IntN(150), injected: map[string]int{}}
}

var (
	errDead = errors.New("fault: this process is dead")
	errLost = errors.New("fault: the write is lost")
)

// fate draws what happens to a write: one of the faults below, or nothing.
func (f *faults) fate() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	fate := ""
	switch f.fuse--; {
	case f.fuse == 0:
		fate = []string{"crash before", "crash after"}[f.random.IntN(2)]
	case f.random.IntN(f.harm) == 0:
		fate = []string{"lost", "conflict", "quota", "late"}[f.random.IntN(4)]
	default:
		return ""
	}
	f.injected[fate]++
	return fate
}

// die is the crash.
func (f *faults) die() {
	if !f.dead.Swap(true) {
		close(f.crashed)
	}
}

// pause is how long something is late: mostly not at all.
func (f *faults) pause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.IntN(f.harm) > 0 {
		return 0
	}
	f.injected["stale"]++
	return time.Duration(f.random.IntN(30)) * time.Millisecond
}

// stale holds up the cache of a kind now and then, so that plans are made from what
// was true before.
func (f *faults) stale(c *client.Client, resources ...schema.GroupVersionResource) error {
	for _, gvr := range resources {
		informer, err := c.Informers().ForResource(gvr)
		if err != nil {
			return err
		}
		err = informer.Informer().SetTransform(func(obj any) (any, error) {
			<-time.After(f.pause())
			return obj, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *faults) intercept(next reconcile.Writer) reconcile.Writer { return &faultyWriter{f, next} }

// faultyWriter is a reconcile.Writer some of whose writes are harmed.
type faultyWriter struct {
	*faults
	next reconcile.Writer
}

// do runs one write under its fate. create says that a quota may refuse it.
func (w *faultyWriter) do(ctx context.Context, resource string, create bool, write func() error) error {
	if w.dead.Load() {
		return errDead
	}
	gr := schema.GroupResource{Resource: resource}
	switch w.fate() {
	case "lost":
		return errLost
	case "crash before":
		w.die()
		return errDead
	case "crash after":
		err := write()
		w.die()
		return errors.Join(err, errDead)
	case "conflict":
		return apierrors.NewConflict(gr, "", errors.New("fault: somebody was faster"))
	case "quota":
		if create {
			return apierrors.NewForbidden(gr, "", errors.New("fault: exceeded quota"))
		}
	case "late":
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return write()
}

func (w *faultyWriter) Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (out runtime.Object, err error) {
	err = w.do(ctx, "objects", true, func() error { out, err = w.next.Create(ctx, obj, opts); return err })
	return out, err
}

func (w *faultyWriter) UpdateSubresource(ctx context.Context, obj runtime.Object, subresource string, opts metav1.UpdateOptions) (out runtime.Object, err error) {
	err = w.do(ctx, "objects", false, func() error {
		out, err = w.next.UpdateSubresource(ctx, obj, subresource, opts)
		return err
	})
	return out, err
}

func (w *faultyWriter) Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error {
	return w.do(ctx, gvr.Resource, false, func() error { return w.next.Delete(ctx, gvr, namespace, name, opts) })
}

func (w *faultyWriter) Patch(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, kind types.PatchType, data []byte,
	opts metav1.PatchOptions, subresources ...string,
) (out runtime.Object, err error) {
	err = w.do(ctx, gvr.Resource, false, func() error {
		out, err = w.next.Patch(ctx, gvr, namespace, name, kind, data, opts, subresources...)
		return err
	})
	return out, err
}

func (w *faultyWriter) DeleteCollection(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.DeleteOptions, list client.ListOptions) error {
	return w.do(ctx, gvr.Resource, false, func() error { return w.next.DeleteCollection(ctx, gvr, namespace, opts, list) })
}

func (w *faultyWriter) Request(ctx context.Context, method, path string) error {
	return w.do(ctx, "requests", false, func() error { return w.next.Request(ctx, method, path) })
}
