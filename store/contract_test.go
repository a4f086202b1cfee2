package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, openBackend)
}

func TestModel(t *testing.T) {
	storetest.Model(t, openBackend)
}

var linearCalls = flag.Int("linear.calls", 40_000, "make so many `CALLS` in TestLinearizable")

func TestLinearizable(t *testing.T) {
	storetest.Linear(t, openBackend, *linearCalls, rand.Uint64())
}

func openBackend(t *testing.T, cfg storetest.Config) *storetest.Backend {
	return backendOf(t, vfs.NewMem(), "data", cfg)
}

// backendOf makes the contract's view of the store in dir.
func backendOf(t *testing.T, fs vfs.FS, dir string, cfg storetest.Config) *storetest.Backend {
	s, err := Open(dir, Options{FS: fs, ProgressInterval: 200 * time.Millisecond, ExpiryInterval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	closeOnce := sync.OnceFunc(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closeOnce)
	r, err := s.Resource(ResourceConfig{
		Prefix: storetest.Prefix, GroupResource: schema.GroupResource{Resource: "pods"},
		Codec: cfg.Codec, NewFunc: cfg.NewFunc, NewListFunc: cfg.NewListFunc, Transformer: cfg.Transformer,
	})
	if err != nil {
		t.Fatal(err)
	}
	increaseRV := func(ctx context.Context, t *testing.T) int64 {
		rev, err := s.kv.Write(ctx, kv.Txn{Ops: []kv.Op{{Key: "/other/key", Value: []byte("ok")}}})
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	copies := 0
	return &storetest.Backend{
		Interface:  r,
		IncreaseRV: increaseRV,
		Compact: func(ctx context.Context, t *testing.T, resourceVersion string) {
			increaseRV(ctx, t)
			rev, err := strconv.ParseInt(resourceVersion, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Compact(rev); err != nil && !errors.Is(err, kv.ErrCompacted) {
				t.Fatal(err)
			}
		},
		Stored: func(t *testing.T, key string) []byte {
			e, found, err := s.kv.Get(key, 0)
			if err != nil || !found {
				t.Fatalf("%s: found %v, %v", key, found, err)
			}
			return e.Value
		},
		SetTransformer: func(tr value.Transformer) {
			r.setTransformer(tr)
			r.forget()
		},
		Reload: r.forget,
		Copy: func(t *testing.T) *storetest.Backend {
			copies++
			to := fmt.Sprintf("%s-copy%d", dir, copies)
			if err := s.Checkpoint(to); err != nil {
				t.Fatal(err)
			}
			return backendOf(t, fs, to, cfg)
		},
		Close:   closeOnce,
		Corrupt: func(err error) error { return &corruptError{what: "test", err: err} },
	}
}

func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	dir := "data"
	if opts.FS == nil {
		dir = t.TempDir()
	}
	s, err := Open(dir, opts)
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

// forget makes the next use read the index from disk again.
func (r *Resource) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.phase = phaseIdle
	r.loaded.Store(false)
}
