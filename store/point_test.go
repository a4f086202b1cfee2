package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/storetest"
)

// Calls about one object do not read the index from disk, and answer as they would
// with one.
func TestPointCallsNeedNoIndex(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	ctx, key := t.Context(), "/configmaps/default/a"
	created, updated, read, deleted := &corev1.ConfigMap{}, &corev1.ConfigMap{}, &corev1.ConfigMap{}, &corev1.ConfigMap{}
	if err := r.Create(ctx, key, configMap("a"), created, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Create(ctx, key, configMap("a"), nil, 0); !storage.IsExist(err) {
		t.Errorf("create again: %v", err)
	}
	label := func(obj runtime.Object) (runtime.Object, error) {
		obj.(*corev1.ConfigMap).Labels = map[string]string{"changed": "yes"}
		return obj, nil
	}
	for range 2 { // the second time nothing changes
		if err := r.GuaranteedUpdate(ctx, key, updated, false, nil, storage.SimpleUpdate(label), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Get(ctx, key, storage.GetOptions{}, read); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, key, deleted, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Get(ctx, key, storage.GetOptions{}, read); !storage.IsNotFound(err) {
		t.Errorf("get of what was deleted: %v", err)
	}
	if r.loaded.Load() {
		t.Error("the index was read")
	}
	for want, got := range map[string]*corev1.ConfigMap{"2": created, "3": updated, "4": deleted} {
		if got.ResourceVersion != want {
			t.Errorf("revision %s, want %s", got.ResourceVersion, want)
		}
	}
}

// A write that is on disk when the index is read, and published only then, is not
// told of again.
func TestLoadBetweenCommitAndPublication(t *testing.T) {
	r := configMaps(t, openStore(t, Options{FS: vfs.NewMem()}))
	out := &corev1.ConfigMap{}
	if err := r.Create(t.Context(), "/configmaps/default/a", configMap("a"), out, 0); err != nil {
		t.Fatal(err)
	}
	var list corev1.ConfigMapList
	if err := r.GetList(t.Context(), "/configmaps/", everything, &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d items, %v", len(list.Items), err)
	}
	e, _, err := r.store.kv.Get("/configmaps/default/a", 0)
	if err != nil {
		t.Fatal(err)
	}
	r.publish([]kv.Event{{Rev: e.Head.ModRev, Key: e.Key, Value: e.Value, Head: e.Head}})
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n := len(r.mu.log.events); n != 0 {
		t.Errorf("%d events, want none", n)
	}
}

// Callers notice nothing of the index being read while they write.
func TestLinearizableWhileLoading(t *testing.T) {
	const objects, starts, calls = 3000, 6, 2000
	filled := vfs.NewCrashableMem()
	b := backendOf(t, filled, "data", storetest.DefaultConfig(t))
	for i := range objects {
		pod := &example.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "before", Name: fmt.Sprint(i)}}
		if err := b.Create(context.Background(), fmt.Sprintf("%sbefore/%d", storetest.Prefix, i), pod, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	for range starts {
		storetest.Linear(t, func(t *testing.T, cfg storetest.Config) *storetest.Backend {
			clone := filled.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
			return backendOf(t, clone, "data", cfg)
		}, calls, rand.Uint64())
	}
}
