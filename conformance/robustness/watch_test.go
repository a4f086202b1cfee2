package robustness

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	ctrl "sigs.k8s.io/controller-runtime"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// An informer and a controller manager see every one of 10,000 changes by
// parallel writers, each object's in order.
func TestWatchersMissNothing(t *testing.T) {
	c, _ := server(t)
	cfg, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	w := watchAll(t, cfg)
	began := time.Now()
	written := writeAll(t, cfg, 1000, 9, nil)
	t.Logf("10,000 changes in %s", time.Since(began).Round(time.Millisecond))
	w.check(t, cfg)
	w.told[0].complete(t, "the informer", written)
	w.told[1].complete(t, "the manager's cache", written)
}

// The server is killed and started again under the writers. A watch that resumes
// at the last revision it was told misses nothing; informers, which list again
// after an error and may so skip states in between, end up with the same objects
// and have never gone back.
func TestWatchersSurviveCrashes(t *testing.T) {
	c, _ := server(t)
	cfg, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	w := watchAll(t, cfg)
	resumed := watchOn(t, cfg)
	const objects, changes, crashes = 400, 5, 3
	written := writeAll(t, cfg, objects, changes, func(done int) {
		if done%(objects*changes/(crashes+1)) != 0 || done/(objects*changes/(crashes+1)) > crashes {
			return
		}
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		took, err := c.Start(t.Context())
		if err != nil {
			t.Error(err)
		}
		t.Logf("killed after %d changes, ready again after %s", done, took.Round(time.Millisecond))
	})
	w.check(t, cfg)
	eventually(t, time.Minute, "the resumed watch to see everything", func(context.Context) (bool, string) {
		missed := resumed.misses(written)
		return len(missed) == 0, fmt.Sprintf("%d missing, for example %v", len(missed), missed[:min(5, len(missed))])
	})
	for i, name := range []string{"the informer", "the manager's cache"} {
		w.told[i].mu.Lock()
		if d := w.told[i].mu.disorder; len(d) > 0 {
			t.Errorf("%s went back: %v", name, d)
		}
		w.told[i].mu.Unlock()
	}
}

// watchOn follows the ConfigMaps by client-go's watch that resumes by itself.
func watchOn(t *testing.T, cfg *rest.Config) *history {
	t.Helper()
	kube, err := kubeFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	maps := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	list, err := maps.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watchtools.NewRetryWatcherWithContext(t.Context(), list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return maps.Watch(ctx, o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e := range w.ResultChan() {
			switch e.Type {
			case watch.Added, watch.Modified:
				h.add(e.Object.(metav1.Object))
			case watch.Deleted:
				h.OnDelete(e.Object)
			case watch.Error:
				t.Errorf("the watch could not be resumed: %v", e.Object)
			}
		}
	}()
	t.Cleanup(func() { w.Stop(); <-ended })
	return h
}

// history records what a watcher was told: each object's revisions, in order. It
// is keyed by UID because a name may be used twice.
type history struct {
	mu struct {
		sync.Mutex
		revisions map[types.UID][]int64
		deleted   map[types.UID]bool
		disorder  []string
	}
}

func newHistory() *history {
	h := &history{}
	h.mu.revisions, h.mu.deleted = map[types.UID][]int64{}, map[types.UID]bool{}
	return h
}

func (h *history) add(o metav1.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rev, err := strconv.ParseInt(o.GetResourceVersion(), 10, 64)
	seen := h.mu.revisions[o.GetUID()]
	// An informer that lists again tells what it knew once more.
	if err != nil || len(seen) > 0 && rev < seen[len(seen)-1] || h.mu.deleted[o.GetUID()] {
		h.mu.disorder = append(h.mu.disorder, fmt.Sprintf("%s: %s after %v, deleted %v", o.GetName(), o.GetResourceVersion(), seen, h.mu.deleted[o.GetUID()]))
	}
	h.mu.revisions[o.GetUID()] = append(seen, rev)
}

func (h *history) OnAdd(o any, _ bool) { h.add(o.(metav1.Object)) }
func (h *history) OnUpdate(_, o any)   { h.add(o.(metav1.Object)) }
func (h *history) OnDelete(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.deleted[o.(metav1.Object).GetUID()] = true
}

// complete fails unless everything written was told, in order.
func (h *history) complete(t *testing.T, who string, w *written) {
	t.Helper()
	if missed := h.misses(w); len(missed) > 0 {
		t.Errorf("%s missed %d changes or saw them out of order, for example %v", who, len(missed), missed[:min(5, len(missed))])
	}
}

// misses lists what was written and not told, and what was told out of order.
func (h *history) misses(w *written) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := append([]string(nil), h.mu.disorder...)
	for uid, revisions := range w.revisions {
		told := map[int64]bool{}
		for _, r := range h.mu.revisions[uid] {
			told[r] = true
		}
		for _, r := range revisions {
			if !told[r] {
				missed = append(missed, fmt.Sprintf("%s at %d", uid, r))
			}
		}
		if w.deleted[uid] && !h.mu.deleted[uid] {
			missed = append(missed, fmt.Sprintf("%s: its deletion", uid))
		}
	}
	return missed
}

// watchers are an informer of client-go and a manager with one controller.
type watchers struct {
	informer  cache.SharedIndexInformer
	manager   crcache.Cache
	told      [2]*history // of the informer, of the manager's cache
	reconcile *lastSeen
}

func watchAll(t *testing.T, cfg *rest.Config) *watchers {
	t.Helper()
	w := &watchers{told: [2]*history{newHistory(), newHistory()}, reconcile: &lastSeen{}}
	w.reconcile.mu.revision = map[string]string{}
	w.startInformer(t, cfg)
	w.startManager(t, cfg)
	return w
}

func (w *watchers) startInformer(t *testing.T, cfg *rest.Config) {
	t.Helper()
	kube, err := kubeFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithNamespace(metav1.NamespaceDefault))
	w.informer = factory.Core().V1().ConfigMaps().Informer()
	if _, err := w.informer.AddEventHandler(w.told[0]); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	if !cache.WaitForCacheSync(t.Context().Done(), w.informer.HasSynced) {
		t.Fatal("the informer never synced")
	}
}

func (w *watchers) startManager(t *testing.T, cfg *rest.Config) {
	t.Helper()
	log.SetLogger(logr.Discard())
	skip := true
	m, err := ctrl.NewManager(cfg, ctrl.Options{
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      crcache.Options{DefaultNamespaces: map[string]crcache.Config{metav1.NamespaceDefault: {}}},
		Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.manager = m.GetCache()
	w.reconcile.reader = m.GetClient()
	if err := ctrl.NewControllerManagedBy(m).For(&corev1.ConfigMap{}).Complete(w.reconcile); err != nil {
		t.Fatal(err)
	}
	informer, err := w.manager.GetInformer(t.Context(), &corev1.ConfigMap{}, crcache.BlockUntilSynced(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := informer.AddEventHandler(w.told[1]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !w.manager.WaitForCacheSync(t.Context()) {
		t.Fatal("the manager's cache never synced")
	}
}

// lastSeen is a reconciler that remembers each object's last revision.
type lastSeen struct {
	reader crclient.Reader
	mu     struct {
		sync.Mutex
		revision map[string]string
	}
}

func (l *lastSeen) Reconcile(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
	var cm corev1.ConfigMap
	err := l.reader.Get(ctx, r.NamespacedName, &cm)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		delete(l.mu.revision, r.Name)
		return ctrl.Result{}, nil
	}
	l.mu.revision[r.Name] = cm.ResourceVersion
	return ctrl.Result{}, nil
}

func (l *lastSeen) snapshot() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.mu.revision)
}

// check waits for the watchers to catch up with the API, then compares.
func (w *watchers) check(t *testing.T, cfg *rest.Config) {
	t.Helper()
	kube, err := kubeFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, cm := range list.Items {
		want[cm.Name] = cm.ResourceVersion
	}
	if len(want) < 2 {
		t.Fatalf("only %d objects are left to compare", len(want))
	}
	for name, have := range map[string]func() map[string]string{
		"the informer's store": w.informerStore,
		"the manager's cache":  func() map[string]string { return managerCache(t, w.manager) },
		"the reconciler":       w.reconcile.snapshot,
	} {
		eventually(t, time.Minute, name+" to equal the API", func(context.Context) (bool, string) {
			diff := cmp.Diff(want, have())
			return diff == "", diff
		})
	}
}

func (w *watchers) informerStore() map[string]string {
	have := map[string]string{}
	for _, o := range w.informer.GetStore().List() {
		cm := o.(*corev1.ConfigMap)
		have[cm.Name] = cm.ResourceVersion
	}
	return have
}

func managerCache(t *testing.T, c crcache.Cache) map[string]string {
	t.Helper()
	var list corev1.ConfigMapList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, cm := range list.Items {
		have[cm.Name] = cm.ResourceVersion
	}
	return have
}
