package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/klog/v2"
)

// killKind is one of the kinds that are written.
type killKind struct {
	resource schema.GroupVersionResource
	kind     string
	// rest is what an object needs besides metadata.
	rest map[string]any
}

var killKinds = []killKind{
	{schema.GroupVersionResource{Version: "v1", Resource: "pods"}, "Pod", map[string]any{"spec": map[string]any{
		"schedulingGates": []any{map[string]any{"name": "pintle.test/kill"}},
		"containers":      []any{map[string]any{"name": "main", "image": "pintle.test/absent:1"}},
	}}},
	{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "ConfigMap", map[string]any{"data": map[string]any{"k": "v"}}},
	{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, "Secret", map[string]any{"stringData": map[string]any{"k": "v"}}},
	{schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}, "Lease", map[string]any{"spec": map[string]any{"holderIdentity": "me"}}},
	{schema.GroupVersionResource{Group: "pintle.test", Version: "v1", Resource: "widgets"}, "Widget", map[string]any{"spec": map[string]any{"size": int64(1)}}},
}

// defineWidget defines the custom one of the kinds and waits until it is served.
func defineWidget(t *testing.T, client dynamic.Interface) {
	t.Helper()
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	var definition unstructured.Unstructured
	if err := json.Unmarshal([]byte(`{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.pintle.test"},
		"spec": {"group": "pintle.test", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"}, "versions": [{
			"name": "v1", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}}`), &definition); err != nil {
		t.Fatal(err)
	}
	if _, err := definitions.Create(t.Context(), &definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "widgets to be served", func(ctx context.Context) (bool, string) {
		_, err := client.Resource(killKinds[4].resource).Namespace(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// everyLife selects the objects of all lives.
const everyLife = -1

// killLedger is what the server acknowledged, kept outside of it.
type killLedger struct {
	mu struct {
		sync.Mutex
		objects map[string]map[string]*killObject // by resource and name
		writes  int
		newest  int64
	}
}

// killObject is one object as acknowledged.
type killObject struct {
	uid       types.UID
	life      int
	n         int
	revisions []int64
	deleted   bool
	// unsure means that its last change was not answered: it may have happened.
	unsure bool
}

func newKillLedger() *killLedger {
	l := &killLedger{}
	l.mu.objects = map[string]map[string]*killObject{}
	for _, kind := range killKinds {
		l.mu.objects[kind.resource.Resource] = map[string]*killObject{}
	}
	return l
}

func (l *killLedger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	objects := 0
	for _, of := range l.mu.objects {
		objects += len(of)
	}
	return fmt.Sprintf("%d acknowledged writes of %d objects checked", l.mu.writes, objects)
}

// acknowledge notes an answer: the object as written, or nil for a deletion.
func (l *killLedger) acknowledge(o *killObject, resource, name string, answer *unstructured.Unstructured) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.writes++
	if answer == nil {
		o.deleted = true
		return nil
	}
	rev, err := strconv.ParseInt(answer.GetResourceVersion(), 10, 64)
	if err != nil {
		return err
	}
	o.uid = answer.GetUID()
	o.revisions = append(o.revisions, rev)
	l.mu.objects[resource][name] = o
	l.mu.newest = max(l.mu.newest, rev)
	return nil
}

// written is what was acknowledged of a kind, as history.misses wants it.
func (l *killLedger) written(kind killKind) *written {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &written{revisions: map[types.UID][]int64{}, deleted: map[types.UID]bool{}}
	for _, o := range l.mu.objects[kind.resource.Resource] {
		w.revisions[o.uid] = o.revisions
		if o.deleted {
			w.deleted[o.uid] = true
		}
	}
	return w
}

// check compares what was acknowledged in a life, or in all, with what is there.
func (l *killLedger) check(t *testing.T, client dynamic.Interface, life int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	selector := "life"
	if life != everyLife {
		selector = fmt.Sprintf("life=%d", life)
	}
	for _, kind := range killKinds {
		list, err := client.Resource(kind.resource).Namespace(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		if rev, err := strconv.ParseInt(list.GetResourceVersion(), 10, 64); err != nil || rev < l.mu.newest {
			t.Errorf("%s are at revision %s, a write was acknowledged at %d", kind.resource.Resource, list.GetResourceVersion(), l.mu.newest)
		}
		held := map[string]*unstructured.Unstructured{}
		for i := range list.Items {
			held[list.Items[i].GetName()] = &list.Items[i]
		}
		for name, o := range l.mu.objects[kind.resource.Resource] {
			if life == everyLife || o.life == life {
				o.check(t, kind, name, held[name])
			}
		}
	}
}

func (o *killObject) check(t *testing.T, kind killKind, name string, held *unstructured.Unstructured) {
	t.Helper()
	if held == nil {
		if !o.deleted && !o.unsure {
			t.Errorf("%s %s is gone, acknowledged %+v", kind.kind, name, *o)
		}
		return
	}
	if held.GetUID() != o.uid {
		return // the name was used again: not by us
	}
	n, _ := strconv.Atoi(held.GetAnnotations()["n"])
	rev, _ := strconv.ParseInt(held.GetResourceVersion(), 10, 64)
	last := o.revisions[len(o.revisions)-1]
	switch {
	case o.deleted:
		t.Errorf("%s %s is there at revision %d although its deletion was acknowledged", kind.kind, name, rev)
	case rev == last && n == o.n:
	case o.unsure && rev > last && n == o.n+1:
	case o.unsure && rev > last && held.GetDeletionTimestamp() != nil:
		// The deletion of a pod is two writes.
	default:
		t.Errorf("%s %s is %d at revision %d, acknowledged %+v", kind.kind, name, n, rev, *o)
	}
}

// killWriter creates, updates, patches and deletes objects of one kind until the
// server is killed.
type killWriter struct {
	client   dynamic.Interface
	ledger   *killLedger
	kind     killKind
	life, id int
	acked    chan struct{}
}

func (w *killWriter) run(ctx context.Context) {
	for i := 0; w.object(ctx, fmt.Sprintf("l%d-w%d-%d", w.life, w.id, i), i%3 > 0); i++ {
	}
}

// object is the life of one object; false means that an answer was missing.
func (w *killWriter) object(ctx context.Context, name string, end bool) bool {
	client := w.client.Resource(w.kind.resource).Namespace(metav1.NamespaceDefault)
	o := &killObject{life: w.life}
	content := map[string]any{
		"apiVersion": w.kind.resource.GroupVersion().String(), "kind": w.kind.kind,
		"metadata": map[string]any{
			"name": name, "labels": map[string]any{"life": strconv.Itoa(w.life)}, "annotations": map[string]any{"n": "0"},
		},
	}
	for key, value := range w.kind.rest {
		content[key] = value
	}
	got, err := client.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{})
	if !w.answered(o, name, got, err) {
		return false
	}
	for n := 1; n < 4; n++ {
		if n%2 == 1 {
			got.SetAnnotations(map[string]string{"n": strconv.Itoa(n)})
			got, err = client.Update(ctx, got, metav1.UpdateOptions{})
		} else {
			patch := fmt.Sprintf(`{"metadata":{"annotations":{"n":"%d"}}}`, n)
			got, err = client.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		}
		if err == nil {
			o.n = n
		}
		if !w.answered(o, name, got, err) {
			return false
		}
	}
	if !end {
		return true
	}
	now := int64(0)
	err = client.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	return w.answered(o, name, nil, err)
}

// answered notes an answer, or that there was none.
func (w *killWriter) answered(o *killObject, name string, got *unstructured.Unstructured, err error) bool {
	if err != nil {
		o.unsure = true
		return false
	}
	if err := w.ledger.acknowledge(o, w.kind.resource.Resource, name, got); err != nil {
		return false
	}
	select {
	case w.acked <- struct{}{}:
	default:
	}
	return true
}

// killWatch is a watch of one kind that resumes at the last revision it was told.
type killWatch struct {
	kind    killKind
	history *history
	mu      struct {
		sync.Mutex
		seen  map[string]bool
		twice int
	}
}

func watchKind(t *testing.T, client dynamic.Interface, kind killKind) *killWatch {
	t.Helper()
	objects := client.Resource(kind.resource).Namespace(metav1.NamespaceDefault)
	list, err := objects.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := &killWatch{kind: kind, history: newHistory()}
	w.mu.seen = map[string]bool{}
	quiet := klog.NewContext(t.Context(), logr.Discard())
	resumed, err := watchtools.NewRetryWatcherWithContext(quiet, list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := objects.Watch(ctx, o)
			if apierrors.IsNotFound(err) {
				// A custom kind is served a moment after the server is ready.
				err = apierrors.NewServiceUnavailable("not served yet")
			}
			return w, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e := range resumed.ResultChan() {
			w.add(t, e)
		}
	}()
	t.Cleanup(func() { resumed.Stop(); <-ended })
	return w
}

func (w *killWatch) add(t *testing.T, e watch.Event) {
	switch e.Type {
	case watch.Added, watch.Modified:
		w.history.add(e.Object.(metav1.Object))
	case watch.Deleted:
		w.history.OnDelete(e.Object)
	case watch.Error:
		t.Errorf("the watch of %s could not be resumed: %v", w.kind.resource.Resource, e.Object)
		return
	default:
		return
	}
	o := e.Object.(metav1.Object)
	key := string(o.GetUID()) + o.GetResourceVersion()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.seen[key] {
		w.mu.twice++
	}
	w.mu.seen[key] = true
}

func (w *killWatch) repeats() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.twice
}
