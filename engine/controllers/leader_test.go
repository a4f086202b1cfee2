package controllers_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers"
	"github.com/pintle-io/pintle/engine/leader"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// quick is the protocol at about an eighth of its times.
var quick = leader.Times{Lease: time.Second, Renew: 750 * time.Millisecond, Retry: 180 * time.Millisecond}

// TestPausedLeader runs every controller twice over one store. The leader is paused in
// the middle of its work, with writes on their way; the other one does the rest. When
// the first wakes, what it had under way is refused, and there is no pod too many.
func TestPausedLeader(t *testing.T) {
	reg := newRegistry(t)
	admin, err := newClient(reg)
	if err != nil {
		t.Fatal(err)
	}
	runPods(t, admin)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
	create(t, admin, namespace)
	create(t, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first := startEngine(t, reg, "first")
	if _, err := first.leader.Lead(ctx); err != nil {
		t.Fatal(err)
	}
	second := startEngine(t, reg, "second")

	first.pauseAt.Store(10)
	const want = 40
	create(t, admin, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](want), Selector: selector, Template: runTemplate("a")},
	})
	eventually(t, "the leader is paused", func() bool { return first.waiting.Load() > 0 }, func() any { return first.written.Load() })
	paused := time.Now()
	if _, err := second.leader.Lead(ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(paused)
	// By the protocol it is less than two seconds; this machine may be busy.
	if took > 10*time.Second {
		t.Errorf("the standby leads after %v", took)
	}
	available := func() bool {
		d, err := client.Get[*appsv1.Deployment](t.Context(), admin, "ns", "web")
		return err == nil && d.Status.AvailableReplicas == want
	}
	eventually(t, "the standby finishes the work", available, func() any { return len(pods(t, admin, "ns")) })

	held := first.waiting.Load()
	first.wake()
	eventually(t, "what the first had under way comes to an end", func() bool { return first.waiting.Load() == 0 }, func() any { return first.waiting.Load() })
	// A conflict may have refused some before they came to the fence.
	if first.refused.Load() == 0 {
		t.Errorf("none of the %d writes that the paused leader had under way came to the fence", held)
	}
	if got := len(pods(t, admin, "ns")); got != want {
		t.Errorf("%d pods, want %d", got, want)
	}
	if got := first.slipped.Load(); got != 0 {
		t.Errorf("%d writes of the replaced leader got through", got)
	}
	t.Logf("the standby led %v after the pause; %d writes were refused", took.Round(time.Millisecond), first.refused.Load())
}

// engine is one server's controllers, and its part in the election. It can be paused:
// then all its writes stop where they are, those to its Lease too.
type engine struct {
	leader *leader.Leader
	// pauseAt is how many writes the controllers make before all is paused; 0 is never.
	pauseAt, written          atomic.Int64
	waiting, refused, slipped atomic.Int64
	woken                     atomic.Bool
	mu                        sync.Mutex
	pause                     chan struct{} // closed by wake; nil unless paused
}

func startEngine(t *testing.T, reg *registry.Registry, name string) *engine {
	t.Helper()
	c, err := newClient(reg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetHandler(http.HandlerFunc(emptyDiscovery))
	e := &engine{}
	leases := coordinationv1.SchemeGroupVersion.WithResource("leases").GroupResource()
	e.leader, err = leader.New(leader.Config{
		Namespace: metav1.NamespaceSystem, Name: "engine", Identity: name, Leases: pausedLeases{leader.InProcess{Client: c}, e}, Times: quick,
		Fence: func(ctx context.Context, holds func(*coordinationv1.Lease) bool) context.Context {
			return reg.Fenced(ctx, leases, metav1.NamespaceSystem, "engine", func(obj runtime.Object) bool {
				lease, _ := obj.(*coordinationv1.Lease)
				return holds(lease)
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	env := reconcile.Env{Client: c, Lead: e.leader.Lead, Intercept: func(w reconcile.Writer) reconcile.Writer { return &pausedWriter{w, e} }}
	all, err := controllers.All(controllers.Deps{Env: env, Rollouts: rollouts()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.Informers().StartWithContext(ctx)
	done := make(chan error, 2)
	go func() { done <- e.leader.Run(ctx) }()
	go func() { done <- controllers.Run(ctx, all) }()
	t.Cleanup(func() {
		cancel()
		e.wake()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c.Informers().Shutdown()
	})
	return e
}

// gate holds up who comes while the engine is paused.
func (e *engine) gate() {
	e.mu.Lock()
	pause := e.pause
	e.mu.Unlock()
	if pause != nil {
		<-pause
	}
}

func (e *engine) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pause != nil {
		e.woken.Store(true)
		close(e.pause)
		e.pause = nil
	}
}

type pausedLeases struct {
	leader.InProcess
	engine *engine
}

func (p pausedLeases) Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	p.engine.gate()
	return p.InProcess.Update(ctx, lease)
}

// pausedWriter is a reconcile.Writer of an engine that may be paused.
type pausedWriter struct {
	next   reconcile.Writer
	engine *engine
}

func (w *pausedWriter) do(write func() error) error {
	e := w.engine
	if at := e.pauseAt.Load(); at > 0 && e.written.Add(1) == at {
		e.mu.Lock()
		e.pause = make(chan struct{})
		e.mu.Unlock()
	}
	e.mu.Lock()
	late := e.pause != nil
	e.mu.Unlock()
	if late {
		e.waiting.Add(1)
		defer e.waiting.Add(-1)
		e.gate()
	}
	err := write()
	switch {
	case errors.Is(err, store.ErrFenced):
		e.refused.Add(1)
	case err == nil && e.woken.Load():
		e.slipped.Add(1)
	}
	return err
}

func (w *pausedWriter) Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (out runtime.Object, err error) {
	err = w.do(func() error { out, err = w.next.Create(ctx, obj, opts); return err })
	return out, err
}

func (w *pausedWriter) UpdateSubresource(ctx context.Context, obj runtime.Object, subresource string, opts metav1.UpdateOptions) (out runtime.Object, err error) {
	err = w.do(func() error { out, err = w.next.UpdateSubresource(ctx, obj, subresource, opts); return err })
	return out, err
}

func (w *pausedWriter) Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error {
	return w.do(func() error { return w.next.Delete(ctx, gvr, namespace, name, opts) })
}

func (w *pausedWriter) Patch(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, kind types.PatchType, data []byte,
	opts metav1.PatchOptions, subresources ...string,
) (out runtime.Object, err error) {
	err = w.do(func() error {
		out, err = w.next.Patch(ctx, gvr, namespace, name, kind, data, opts, subresources...)
		return err
	})
	return out, err
}

func (w *pausedWriter) DeleteCollection(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.DeleteOptions, list client.ListOptions) error {
	return w.do(func() error { return w.next.DeleteCollection(ctx, gvr, namespace, opts, list) })
}

func (w *pausedWriter) Request(ctx context.Context, method, path string) error {
	return w.do(func() error { return w.next.Request(ctx, method, path) })
}
