package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/storetest"
)

// place is a data directory of a test.
type place struct{ dir string }

func newPlace(t testing.TB) place {
	t.Helper()
	p := place{filepath.Join(t.TempDir(), "data")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) store() string     { return filepath.Join(p.dir, "store") }
func (p place) keys() string      { return filepath.Join(p.dir, "keys.json") }
func (p place) snapshots() string { return filepath.Join(p.dir, "snapshots") }

// open opens the store; secrets are encrypted unless prefixes say otherwise.
func (p place) open(t testing.TB, prefixes ...string) *Store {
	t.Helper()
	s, err := p.tryOpen(prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func (p place) tryOpen(prefixes ...string) (*Store, error) {
	if prefixes == nil {
		prefixes = []string{"/secrets/"}
	}
	return Open(p.store(), Options{Encryption: &Encryption{KeyFile: p.keys(), Prefixes: prefixes}})
}

func resourceOf(t testing.TB, s *Store, name string) *Resource {
	t.Helper()
	cfg := storetest.DefaultConfig(t)
	r, err := s.Resource(ResourceConfig{
		Prefix: "/" + name + "/", GroupResource: schema.GroupResource{Resource: name},
		Codec: cfg.Codec, NewFunc: cfg.NewFunc, NewListFunc: cfg.NewListFunc,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func addPod(t testing.TB, r *Resource, name, node string) *example.Pod {
	t.Helper()
	out := &example.Pod{}
	obj := &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"}, Spec: example.PodSpec{NodeName: node}}
	if err := r.Create(t.Context(), r.prefix+"ns/"+name, obj, out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}

func setNode(t testing.TB, r *Resource, name, node string) *example.Pod {
	t.Helper()
	out := &example.Pod{}
	update := storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		pod := obj.(*example.Pod)
		pod.Spec.NodeName = node
		return pod, nil
	})
	if err := r.GuaranteedUpdate(t.Context(), r.prefix+"ns/"+name, out, false, nil, update, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

// nodeOf reads an object; "" if there is none.
func nodeOf(t testing.TB, r *Resource, name string) string {
	t.Helper()
	out := &example.Pod{}
	err := r.Get(t.Context(), r.prefix+"ns/"+name, storage.GetOptions{}, out)
	if storage.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Spec.NodeName
}

func rawValue(t testing.TB, s *Store, key string, rev int64) []byte {
	t.Helper()
	e, found, err := s.kv.Get(key, rev)
	if err != nil || !found {
		t.Fatalf("%s: %v, %v", key, found, err)
	}
	return e.Value
}

func mustRevision(t testing.TB, pod *example.Pod) int64 {
	t.Helper()
	rev, err := storage.APIObjectVersioner{}.ObjectResourceVersion(pod)
	if err != nil {
		t.Fatal(err)
	}
	return int64(rev)
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
