package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"

	"github.com/pintle-io/pintle/engine/client"
)

// writer records what it is asked to do and answers as fail says.
type writer struct {
	mu      sync.Mutex
	log     []string
	version int
	fail    func(verb, name string) error
	active  int
	most    int
}

func (w *writer) do(verb string, obj runtime.Object) (runtime.Object, error) {
	w.mu.Lock()
	w.active++
	w.most = max(w.most, w.active)
	w.mu.Unlock()
	time.Sleep(time.Millisecond) // lets a parallel round overlap in the bubble
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
	name := nameOf(obj)
	w.log = append(w.log, verb+" "+name)
	if w.fail != nil {
		if err := w.fail(verb, name); err != nil {
			return nil, err
		}
	}
	w.version++
	out := obj.DeepCopyObject()
	out.(metav1.Object).SetResourceVersion(strconv.Itoa(100 + w.version))
	return out, nil
}

func (w *writer) Create(_ context.Context, obj runtime.Object, _ metav1.CreateOptions) (runtime.Object, error) {
	return w.do("create", obj)
}

func (w *writer) UpdateSubresource(_ context.Context, obj runtime.Object, subresource string, _ metav1.UpdateOptions) (runtime.Object, error) {
	return w.do("update"+subresource, obj)
}

func (w *writer) Delete(context.Context, schema.GroupVersionResource, string, string, metav1.DeleteOptions) error {
	return nil
}

func (w *writer) DeleteCollection(context.Context, schema.GroupVersionResource, string, metav1.DeleteOptions, client.ListOptions) error {
	return nil
}

func (w *writer) Patch(context.Context, schema.GroupVersionResource, string, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (runtime.Object, error) {
	return nil, nil
}

func (w *writer) Request(context.Context, string, string) error { return nil }

// pass lets the bubble's time pass and everything in it come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
}

// bench is a controller over a source of pods, inside a bubble.
type bench struct {
	*Controller
	source *cachetesting.FakeControllerSource
	writer *writer
}

func run(t *testing.T, w *writer, plan func(key Key, pods cache.Indexer) Result, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source := cachetesting.NewFakeControllerSource()
		informer := cache.NewSharedIndexInformer(source, &corev1.Pod{}, 0, cache.Indexers{})
		c, err := New(Config{
			Name: "test", Writer: w, Workers: 3,
			Watches: []Watch{Self[*corev1.Pod](informer)},
			Reconcile: func(_ context.Context, key Key, _ time.Time) (Result, error) {
				return plan(key, informer.GetIndexer()), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { informer.RunWithContext(ctx) })
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		test(&bench{Controller: c, source: source, writer: w})
		cancel()
		wg.Wait()
		source.Shutdown()
	})
}

// TestWaitsForItsOwnWrites: after a write no plan runs before the cache shows it,
// even if the key is asked for again and again.
func TestWaitsForItsOwnWrites(t *testing.T) {
	var plans int
	run(t, &writer{}, func(_ Key, pods cache.Indexer) Result {
		plans++
		var r Result
		if _, found, _ := pods.GetByKey("ns/child"); !found {
			r.Add(Create{Object: pod("child")})
		}
		return r
	}, func(b *bench) {
		key := Key{Namespace: "ns", Name: "parent"}
		b.Enqueue(key)
		pass(time.Second)
		b.Enqueue(key)
		pass(time.Minute)
		if plans != 1 || len(b.writer.log) != 1 {
			t.Errorf("%d plans and writes %v before the cache shows the first", plans, b.writer.log)
		}
		child := pod("child")
		child.ResourceVersion = "101"
		b.source.Add(child)
		pass(time.Minute)
		if plans < 2 || len(b.writer.log) != 1 {
			t.Errorf("%d plans and writes %v after the cache shows it", plans, b.writer.log)
		}
	})
}

// TestStopsAtFirstFailure: later actions do not run, OnFailure has the last word,
// the key comes back.
func TestStopsAtFirstFailure(t *testing.T) {
	failures := 2
	w := &writer{}
	w.fail = func(_, name string) error {
		if name == "b" && failures > 0 {
			failures--
			return errors.New("no")
		}
		return nil
	}
	run(t, w, func(Key, cache.Indexer) Result {
		r := Result{OnFailure: func(f Failure) []Action {
			return []Action{UpdateStatus{Object: pod("failed: " + f.Err.Error())}}
		}}
		r.Add(Create{Object: pod("a")}, Create{Object: pod("b")}, Create{Object: pod("c")})
		return r
	}, func(b *bench) {
		b.Enqueue(Key{Name: "x"})
		pass(3 * maxBehind) // the cache never shows what was written
		want := []string{
			"create a", "create b", "updatestatus failed: create *v1.Pod b: no",
			"create a", "create b", "updatestatus failed: create *v1.Pod b: no",
			"create a", "create b", "create c",
		}
		if diff := cmp.Diff(want, w.log); diff != "" {
			t.Error(diff)
		}
	})
}

// TestBatchStartsSlowly: rounds of 1, 2, 4; the round with a failure is the last.
func TestBatchStartsSlowly(t *testing.T) {
	var batch Batch
	for i := range 20 {
		batch = append(batch, Create{Object: pod(fmt.Sprint(i))})
	}
	for failing, want := range map[string]int{"0": 1, "2": 3, "5": 7, "none": 20} {
		t.Run(failing, func(t *testing.T) {
			w := &writer{fail: func(_, name string) error {
				if name == failing {
					return errors.New("no")
				}
				return nil
			}}
			synctest.Test(t, func(t *testing.T) {
				e := &execution{controller: &Controller{cfg: Config{Writer: w}}}
				done, err := e.one(t.Context(), batch)
				if len(w.log) != want || (err != nil) != (failing != "none") || err != nil && done != want-1 || err == nil && done != want {
					t.Errorf("%d writes, %d done, err %v; want %d writes", len(w.log), done, err, want)
				}
				if failing == "none" && w.most != 8 {
					t.Errorf("at most %d at a time, want 8 (rounds of 1, 2, 4, 8, 5)", w.most)
				}
			})
		})
	}
}

// TestPanicCostsARetry: the loop survives, the key is planned again.
func TestPanicCostsARetry(t *testing.T) {
	plans := 0
	run(t, &writer{}, func(Key, cache.Indexer) Result {
		if plans++; plans == 1 {
			panic("broken plan")
		}
		return Result{}
	}, func(b *bench) {
		b.Enqueue(Key{Name: "x"})
		pass(time.Minute)
		if plans != 2 {
			t.Errorf("%d plans, want one retry", plans)
		}
	})
}

func TestRequeueAfter(t *testing.T) {
	var at []time.Duration
	start := time.Time{}
	run(t, &writer{}, func(Key, cache.Indexer) Result {
		if start.IsZero() {
			start = time.Now()
		}
		at = append(at, time.Since(start).Round(time.Second))
		if len(at) < 3 {
			return Result{RequeueAfter: 10 * time.Second}
		}
		return Result{}
	}, func(b *bench) {
		b.Enqueue(Key{Name: "x"})
		pass(time.Hour)
		if diff := cmp.Diff([]time.Duration{0, 10 * time.Second, 20 * time.Second}, at); diff != "" {
			t.Error(diff)
		}
	})
}
