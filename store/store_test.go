package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"
	"pgregory.net/rapid"
)

// reopen closes s and opens its directory again.
func reopen(t testing.TB, s *Store, opts Options) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openStore(t, opts)
}

func TestReopen(t *testing.T) {
	opts := Options{FS: vfs.NewMem()}
	s := openStore(t, opts)
	r := configMaps(t, s)
	create(t, r, "a")
	want := update(t, r, "a", func(cm *corev1.ConfigMap) { cm.Data["n"] = "1" })
	create(t, r, "b")
	remove(t, r, "b")
	rev := s.Revision()

	s = reopen(t, s, opts)
	r = configMaps(t, s)
	got := &corev1.ConfigMap{}
	if err := r.Get(t.Context(), "/configmaps/default/a", storage.GetOptions{}, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || s.Revision() != rev {
		t.Fatalf("revision %d, want %d: %s", s.Revision(), rev, diff)
	}
	if err := r.Get(t.Context(), "/configmaps/default/b", storage.GetOptions{}, got); !storage.IsNotFound(err) {
		t.Errorf("deleted object: %v", err)
	}
	// A watch may go on from before the restart.
	opts2 := everything
	opts2.ResourceVersion = want.ResourceVersion
	w := startWatch(t, t.Context(), r, "/configmaps/", opts2)
	for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
		if ev := receive(t, w); ev.Type != want {
			t.Errorf("%s, want %s", ev.Type, want)
		}
	}
}

// An update whose function changes nothing does not take a revision, and readers
// never see what an update function does to its copy.
func TestUpdateWorksOnACopy(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	r := configMaps(t, s)
	create(t, r, "a")
	before := &corev1.ConfigMap{}
	if err := r.Get(t.Context(), "/configmaps/default/a", storage.GetOptions{}, before); err != nil {
		t.Fatal(err)
	}
	want := before.DeepCopy()
	rev := s.Revision()
	update(t, r, "a", func(*corev1.ConfigMap) {})
	if s.Revision() != rev {
		t.Error("an empty update took a revision")
	}
	update(t, r, "a", func(cm *corev1.ConfigMap) { cm.Data["data"] = "changed" })
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("an object read earlier changed: %s", diff)
	}
}

// Concurrent updates of one object lose nothing.
func TestConcurrentUpdates(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	create(t, r, "counter")
	const writers, each = 8, 25
	done := make(chan struct{})
	for range writers {
		go func() {
			defer func() { done <- struct{}{} }()
			for range each {
				update(t, r, "counter", func(cm *corev1.ConfigMap) {
					n, _ := strconv.Atoi(cm.Data["n"])
					cm.Data["n"] = strconv.Itoa(n + 1)
				})
			}
		}()
	}
	for range writers {
		<-done
	}
	got := &corev1.ConfigMap{}
	if err := r.Get(t.Context(), "/configmaps/default/counter", storage.GetOptions{}, got); err != nil {
		t.Fatal(err)
	}
	if got.Data["n"] != strconv.Itoa(writers*each) {
		t.Errorf("counted to %s", got.Data["n"])
	}
}

// Lists at an exact revision show the same from snapshots, rolled back from
// memory, and read from disk, whatever was written in between.
func TestExactLists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Open("data", Options{FS: vfs.NewMem()})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		r := configMaps(t, s)
		if err := r.ready(); err != nil {
			rt.Fatal(err)
		}
		states := map[int64]mirror{s.Revision(): {}}
		current := mirror{}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")
				switch {
				case current[name] == "":
					current[name] = create(t, r, name).ResourceVersion
				case rapid.Bool().Draw(rt, "delete"):
					remove(t, r, name)
					delete(current, name)
				default:
					current[name] = update(t, r, name, func(cm *corev1.ConfigMap) { cm.Data["n"] = current[name] }).ResourceVersion
				}
				snap := mirror{}
				for k, v := range current {
					snap[k] = v
				}
				states[s.Revision()] = snap
			},
			"forget window": func(*rapid.T) { forgetWindow(r) },
			"forget snapshots": func(*rapid.T) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.mu.snapshots = snapshots{}
			},
			"list": func(rt *rapid.T) {
				rev := rapid.Int64Range(1, s.Revision()).Draw(rt, "revision")
				opts := everything
				opts.ResourceVersion = strconv.FormatInt(rev, 10)
				opts.ResourceVersionMatch = metav1.ResourceVersionMatchExact
				if diff := cmp.Diff(states[rev], listed(t, r, opts)); diff != "" {
					rt.Fatalf("at revision %d: %s", rev, diff)
				}
			},
		})
	})
}

// Pages of a list show one state, although objects change between them.
func TestPagesShowOneState(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	for i := range 10 {
		create(t, r, fmt.Sprintf("cm-%d", i))
	}
	opts := everything
	opts.Predicate.Limit = 3
	var names []string
	var revision string
	for {
		var list corev1.ConfigMapList
		if err := r.GetList(t.Context(), "/configmaps/", opts, &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		if revision != "" && list.ResourceVersion != revision {
			t.Errorf("page at revision %s, want %s", list.ResourceVersion, revision)
		}
		revision = list.ResourceVersion
		if opts.Predicate.Continue = list.Continue; list.Continue == "" {
			break
		}
		if want := int64(10 - len(names)); *list.RemainingItemCount != want {
			t.Errorf("remaining %d, want %d", *list.RemainingItemCount, want)
		}
		remove(t, r, fmt.Sprintf("cm-%d", 10-len(names)))
		create(t, r, fmt.Sprintf("new-%d", len(names)))
	}
	if len(names) != 10 || names[9] != "cm-9" {
		t.Errorf("pages held %v", names)
	}
}

// Two resources on one prefix, as the versions of a custom resource are, see the
// writes of each other in their own types.
func TestTwoResourcesOnOnePrefix(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	open := func(version string) *Resource {
		r, err := s.Resource(ResourceConfig{
			Prefix: "/example.com/widgets", GroupResource: schema.GroupResource{Group: "example.com", Resource: "widgets"},
			Codec:       versionedCodec{version},
			NewFunc:     func() runtime.Object { return &unstructured.Unstructured{} },
			NewListFunc: func() runtime.Object { return &unstructured.UnstructuredList{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	v1, v2 := open("v1"), open("v2")
	w := startSynced(t, t.Context(), v2, "/example.com/widgets/", everything)
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "a", "namespace": "default"},
	}}
	out := &unstructured.Unstructured{}
	if err := v1.Create(t.Context(), "/example.com/widgets/default/a", obj, out, 0); err != nil {
		t.Fatal(err)
	}
	got := receive(t, w).Object.(*unstructured.Unstructured)
	if got.GetAPIVersion() != "example.com/v2" || got.GetResourceVersion() != out.GetResourceVersion() {
		t.Errorf("v2 watch: %v", got.Object)
	}
	list := &unstructured.UnstructuredList{}
	if err := v2.GetList(t.Context(), "/example.com/widgets/", everything, list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d items, %v", len(list.Items), err)
	}
	// What a reader sets on its copy stays there.
	list.Items[0].SetLabels(map[string]string{"mine": "true"})
	list.Items[0].SetAPIVersion("mine")
	again := &unstructured.Unstructured{}
	if err := v2.Get(t.Context(), "/example.com/widgets/default/a", storage.GetOptions{}, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Object, again.Object); diff != "" {
		t.Error(diff)
	}
	v2.Stop()
	if err := v2.Get(t.Context(), "/example.com/widgets/default/a", storage.GetOptions{}, again); err == nil {
		t.Error("a stopped resource answers")
	}
	if _, ok := <-w.ResultChan(); ok {
		t.Error("the watch survived its resource")
	}
}

// versionedCodec stores JSON and reads it as one version.
type versionedCodec struct{ version string }

func (c versionedCodec) Decode(data []byte, gvk *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, got, err := unstructured.UnstructuredJSONScheme.Decode(data, gvk, into)
	if err == nil {
		obj.(*unstructured.Unstructured).SetAPIVersion("example.com/" + c.version)
	}
	return obj, got, err
}

func (c versionedCodec) Encode(obj runtime.Object, w io.Writer) error {
	return unstructured.UnstructuredJSONScheme.Encode(obj, w)
}

func (c versionedCodec) Identifier() runtime.Identifier { return runtime.Identifier(c.version) }

// Objects with a time to live are deleted when it is over, also by a store that
// was opened since, and watches are told.
func TestExpiry(t *testing.T) {
	opts := Options{FS: vfs.NewMem(), ExpiryInterval: 20 * time.Millisecond}
	s := openStore(t, opts)
	r := configMaps(t, s)
	if err := r.Create(t.Context(), "/configmaps/default/brief", configMap("brief"), nil, 1); err != nil {
		t.Fatal(err)
	}
	create(t, r, "lasting")
	s = reopen(t, s, opts)
	r = configMaps(t, s)
	watched := everything
	watched.ResourceVersion = "3"
	w := startWatch(t, t.Context(), r, "/configmaps/", watched)
	if ev := receive(t, w); ev.Type != watch.Deleted || ev.Object.(*corev1.ConfigMap).Name != "brief" {
		t.Fatalf("%s %v", ev.Type, ev.Object)
	}
	if got := listed(t, r, everything); len(got) != 1 || got["lasting"] == "" {
		t.Errorf("left: %v", got)
	}
}

func TestProgressIsSupported(t *testing.T) {
	openStore(t, Options{FS: vfs.NewMem()})
	if !feature.DefaultFeatureSupportChecker.Supports(storage.RequestWatchProgress) {
		t.Error("progress requests are reported as not supported")
	}
}

func TestConfigIsChecked(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	for _, cfg := range []ResourceConfig{{}, {Prefix: "pods"}, {Prefix: "/"}, {Prefix: "/pods"}} {
		if _, err := s.Resource(cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}

func TestCloseEndsGoroutines(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := Open("data", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	r := configMaps(t, s)
	create(t, r, "a")
	for range 10 {
		startWatch(t, context.Background(), r, "/configmaps/", everything)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWritesAfterCloseFail(t *testing.T) {
	s := openStore(t, Options{FS: vfs.NewMem()})
	r := configMaps(t, s)
	w := startSynced(t, t.Context(), r, "/configmaps/", everything)
	create(t, r, "a")
	receive(t, w)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range w.ResultChan() {
	}
	err := r.Create(context.Background(), "/configmaps/default/b", configMap("b"), nil, 0)
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("create after close: %v", err)
	}
}
