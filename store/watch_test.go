package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	goruntime "runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

var everything = storage.ListOptions{Recursive: true, Predicate: storage.Everything}

func startWatch(t testing.TB, ctx context.Context, r *Resource, key string, opts storage.ListOptions) watch.Interface {
	t.Helper()
	w, err := r.Watch(ctx, key, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// startSynced starts a watch and waits until it follows.
func startSynced(t testing.TB, ctx context.Context, r *Resource, key string, opts storage.ListOptions) watch.Interface {
	t.Helper()
	yes := true
	opts.SendInitialEvents, opts.Predicate.AllowWatchBookmarks = &yes, true
	w := startWatch(t, ctx, r, key, opts)
	if ev := receive(t, w); ev.Type != watch.Bookmark {
		t.Fatalf("%s before the bookmark", ev.Type)
	}
	return w
}

func receive(t testing.TB, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case ev, ok := <-w.ResultChan():
		if !ok {
			t.Fatal("watch closed")
		}
		return ev
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
	}
	return watch.Event{}
}

func create(t testing.TB, r *Resource, name string, change ...func(*corev1.ConfigMap)) *corev1.ConfigMap {
	t.Helper()
	obj, out := configMap(name), &corev1.ConfigMap{}
	for _, f := range change {
		f(obj)
	}
	if err := r.Create(context.Background(), "/configmaps/default/"+name, obj, out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}

func update(t testing.TB, r *Resource, name string, change func(*corev1.ConfigMap)) *corev1.ConfigMap {
	t.Helper()
	out := &corev1.ConfigMap{}
	err := r.GuaranteedUpdate(context.Background(), "/configmaps/default/"+name, out, false, nil,
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			change(obj.(*corev1.ConfigMap))
			return obj, nil
		}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func remove(t testing.TB, r *Resource, name string) {
	t.Helper()
	err := r.Delete(context.Background(), "/configmaps/default/"+name, &corev1.ConfigMap{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// A mirror replays watch events and checks that each is possible.
type mirror map[string]string // name -> resourceVersion

func (m mirror) apply(ev watch.Event) (uint64, error) {
	obj := ev.Object.(*corev1.ConfigMap)
	_, known := m[obj.Name]
	switch {
	case ev.Type == watch.Bookmark:
	case ev.Type == watch.Added && !known, ev.Type == watch.Modified && known:
		m[obj.Name] = obj.ResourceVersion
	case ev.Type == watch.Deleted && known:
		delete(m, obj.Name)
	default:
		return 0, fmt.Errorf("%s of %s, known %v", ev.Type, obj.Name, known)
	}
	return strconv.ParseUint(obj.ResourceVersion, 10, 64)
}

func listed(t testing.TB, r *Resource, opts storage.ListOptions) mirror {
	t.Helper()
	var list corev1.ConfigMapList
	if err := r.GetList(context.Background(), "/configmaps/", opts, &list); err != nil {
		t.Fatal(err)
	}
	m := mirror{}
	for i := range list.Items {
		m[list.Items[i].Name] = list.Items[i].ResourceVersion
	}
	return m
}

// Watches that start and stop at any time, from any revision, in memory or from
// disk, see every change once and in order.
func TestWatchesMissNothing(t *testing.T) {
	for name, window := range map[string]func(*Resource){
		"memory": func(*Resource) {},
		"disk":   forgetWindow,
	} {
		t.Run(name, func(t *testing.T) {
			r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
			create(t, r, "first")
			stop := make(chan struct{})
			var writers, watchers sync.WaitGroup
			for i := range 4 {
				writers.Go(func() { churn(t, r, fmt.Sprintf("w%d", i), stop) })
			}
			final := make([]mirror, 8)
			done := make(chan struct{})
			for i := range final {
				watchers.Go(func() { final[i] = resumeUntil(t, r, 20+i, window, done) })
			}
			// Each watcher has resumed often when the last write is made.
			resumed := time.Now().Add(time.Second)
			for time.Now().Before(resumed) {
				update(t, r, "first", func(cm *corev1.ConfigMap) { cm.Data["n"] = time.Now().String() })
			}
			close(stop)
			writers.Wait()
			create(t, r, "last")
			close(done)
			watchers.Wait()
			want := listed(t, r, everything)
			for i, got := range final {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("watcher %d: %s", i, diff)
				}
			}
		})
	}
}

func churn(t *testing.T, r *Resource, name string, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		create(t, r, name)
		update(t, r, name, func(cm *corev1.ConfigMap) { cm.Data["n"] = strconv.Itoa(i) })
		remove(t, r, name)
	}
}

// resumeUntil follows the resource through watches of so many events each, until
// it has seen the object "last".
func resumeUntil(t *testing.T, r *Resource, events int, between func(*Resource), done chan struct{}) mirror {
	var list corev1.ConfigMapList
	if err := r.GetList(context.Background(), "/configmaps/", everything, &list); err != nil {
		t.Error(err)
		return nil
	}
	m := mirror{}
	for i := range list.Items {
		m[list.Items[i].Name] = list.Items[i].ResourceVersion
	}
	rev, _ := strconv.ParseUint(list.ResourceVersion, 10, 64)
	for m["last"] == "" {
		opts := everything
		opts.ResourceVersion = strconv.FormatUint(rev, 10)
		w, err := r.Watch(context.Background(), "/configmaps/", opts)
		if err != nil {
			t.Error(err)
			return nil
		}
		for range events {
			ev, ok := <-w.ResultChan()
			if !ok {
				// Another watcher moved the window past this one.
				break
			}
			next, err := m.apply(ev)
			if err != nil || next <= rev {
				t.Errorf("after revision %d: %d, %v", rev, next, err)
				w.Stop()
				return nil
			}
			if rev = next; m["last"] != "" {
				break
			}
		}
		w.Stop()
		between(r)
	}
	<-done
	return m
}

// forgetWindow drops the recent events from memory, as time does.
func forgetWindow(r *Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.mu.log
	keep := min(len(l.events), 2)
	drop := len(l.events) - keep
	if drop > 0 {
		l.floor = l.events[drop-1].rev
		l.first += uint64(drop)
		l.events = l.events[drop:]
	}
}

// A receiver that takes nothing loses its watch when the window has passed it;
// writers and other watches do not notice.
func TestSlowWatchIsClosed(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	create(t, r, "a")
	slow := startWatch(t, t.Context(), r, "/configmaps/", storage.ListOptions{Recursive: true, Predicate: storage.Everything, ResourceVersion: "1"})
	quick := startWatch(t, t.Context(), r, "/configmaps/", storage.ListOptions{Recursive: true, Predicate: storage.Everything, ResourceVersion: "1"})
	receive(t, quick)
	for i := range 3 * watchBuffer {
		update(t, r, "a", func(cm *corev1.ConfigMap) { cm.Data["n"] = strconv.Itoa(i) })
		receive(t, quick)
	}
	got := 0
	deadline := time.After(20 * time.Second)
	for len(slow.ResultChan()) < watchBuffer {
		select {
		case <-deadline:
			t.Fatal("the buffer did not fill")
		default:
			goruntime.Gosched()
		}
	}
	forgetWindow(r)
	<-slow.(*watcher).ctx.Done()
	for range slow.ResultChan() {
		got++
	}
	if got != watchBuffer {
		t.Errorf("%d events before the watch was closed", got)
	}
	update(t, r, "a", func(cm *corev1.ConfigMap) { cm.Data["n"] = "last" })
	receive(t, quick)
}

// A watch that demands one value of an index, or one namespace, is not woken by
// the events of others, and still sees objects come and go.
func TestWatchGroups(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	index := storage.FieldIndex("color")
	color := func(obj runtime.Object) string { return obj.(*corev1.ConfigMap).Labels["color"] }
	r, err := s.Resource(ResourceConfig{
		Prefix: "/configmaps", GroupResource: schema.GroupResource{Resource: "configmaps"},
		Codec:       protobufCodec(t),
		NewFunc:     func() runtime.Object { return &corev1.ConfigMap{} },
		NewListFunc: func() runtime.Object { return &corev1.ConfigMapList{} },
		Indexers:    storage.IndexerFuncs{index: color},
	})
	if err != nil {
		t.Fatal(err)
	}
	pred := storage.SelectionPredicate{
		Label: labels.Everything(), Field: fields.OneTermEqualSelector("color", "red"), IndexFields: []string{"color"},
		GetAttrs: func(obj runtime.Object) (labels.Set, fields.Set, error) {
			return nil, fields.Set{"color": color(obj)}, nil
		},
	}
	red := startSynced(t, t.Context(), r, "/configmaps/", storage.ListOptions{Recursive: true, Predicate: pred})
	space := startSynced(t, t.Context(), r, "/configmaps/default/", everything)
	single := startSynced(t, t.Context(), r, "/configmaps/default/b", storage.ListOptions{Predicate: storage.Everything})

	paint := func(c string) func(*corev1.ConfigMap) {
		return func(cm *corev1.ConfigMap) { cm.Labels = map[string]string{"color": c} }
	}
	other := configMap("other")
	if err := r.Create(t.Context(), "/configmaps/elsewhere/other", other, nil, 0); err != nil {
		t.Fatal(err)
	}
	create(t, r, "a", paint("blue"))
	create(t, r, "b", paint("red"))
	update(t, r, "a", paint("red"))
	update(t, r, "b", paint("blue"))
	remove(t, r, "b")
	remove(t, r, "a")

	for w, want := range map[watch.Interface][]string{
		red:    {"ADDED b", "ADDED a", "DELETED b", "DELETED a"},
		space:  {"ADDED a", "ADDED b", "MODIFIED a", "MODIFIED b", "DELETED b", "DELETED a"},
		single: {"ADDED b", "MODIFIED b", "DELETED b"},
	} {
		for i, want := range want {
			ev := receive(t, w)
			if got := fmt.Sprintf("%s %s", ev.Type, ev.Object.(*corev1.ConfigMap).Name); got != want {
				t.Errorf("event %d: %s, want %s", i, got, want)
			}
		}
	}
	red.Stop()
	space.Stop()
	single.Stop()
	for range red.ResultChan() {
	}
	for range space.ResultChan() {
	}
	for range single.ResultChan() {
	}
	if n := red.(*watcher).position; n != 4 {
		t.Errorf("the indexed watch was handed %d events", n)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.mu.groups) != 0 {
		t.Errorf("%d groups are left without watchers", len(r.mu.groups))
	}
}

func TestCompactedWatchExpires(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	r := configMaps(t, s)
	create(t, r, "a")
	create(t, r, "b")
	if err := s.Compact(s.Revision()); err != nil {
		t.Fatal(err)
	}
	opts := everything
	opts.ResourceVersion = "2"
	ev := receive(t, startWatch(t, t.Context(), r, "/configmaps/", opts))
	if status, ok := ev.Object.(*metav1.Status); ev.Type != watch.Error || !ok || status.Code != http.StatusGone {
		t.Fatalf("%s %v", ev.Type, ev.Object)
	}
}

// What each form of delivery promises about pointers and encodings.
func TestDeliveryForms(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	plain := startSynced(t, t.Context(), r, "/configmaps/", everything)
	shared := startSynced(t, WithSharedObjects(t.Context()), r, "/configmaps/", everything)
	encoded := [2]watch.Interface{
		startSynced(t, WithSharedEncodings(t.Context()), r, "/configmaps/", everything),
		startSynced(t, WithSharedEncodings(t.Context()), r, "/configmaps/", everything),
	}
	out := create(t, r, "a")

	var list ObjectList
	if err := r.GetList(t.Context(), "/configmaps/", everything, &list); err != nil {
		t.Fatal(err)
	}
	if receive(t, shared).Object != list.Items[0] {
		t.Error("the shared watch and list gave different pointers")
	}
	if obj := receive(t, plain).Object; obj == list.Items[0] || !cmp.Equal(obj, runtime.Object(out)) {
		t.Error("the plain watch did not give a copy")
	}
	var first runtime.Object
	for i, w := range encoded {
		obj := receive(t, w).Object
		if i == 0 {
			first = obj
			continue
		}
		if obj != first {
			t.Error("two watches got two encodings")
		}
	}
	cached, calls := first.(runtime.CacheableObject), 0
	for range 3 {
		var buf bytes.Buffer
		err := cached.CacheEncode("id", func(obj runtime.Object, w io.Writer) error {
			calls++
			obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Kind: "Changed"})
			_, err := io.WriteString(w, "bytes")
			return err
		}, &buf)
		if err != nil || buf.String() != "bytes" {
			t.Errorf("%q, %v", buf.String(), err)
		}
	}
	if calls != 1 {
		t.Errorf("encoded %d times", calls)
	}
	if kind := list.Items[0].GetObjectKind().GroupVersionKind().Kind; kind == "Changed" {
		t.Error("an encoder reached the shared object")
	}
}

func TestRequestWatchProgress(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem(), ProgressInterval: time.Hour}))
	opts := everything
	opts.ProgressNotify = true
	w := startSynced(t, t.Context(), r, "/configmaps/", opts)
	last := create(t, r, "a")
	receive(t, w)
	if err := r.RequestWatchProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	ev := receive(t, w)
	if ev.Type != watch.Bookmark || ev.Object.(*corev1.ConfigMap).ResourceVersion != last.ResourceVersion {
		t.Fatalf("%s %v", ev.Type, ev.Object)
	}
}
