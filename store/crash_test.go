package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/storetest/crashfs"
)

var (
	crashClones = flag.Int("crash.clones", 6, "let the power fail so many `TIMES` in TestPowerLossWhileKeysRotate, per share of surviving data")
	crashSeed   = flag.Uint64("crash.seed", 0, "the `SEED` of the crash tests; 0 draws one")
)

// The power fails at random operations under concurrent writers of encrypted
// objects while keys are rotated, from the first start on. What was acknowledged
// is there and can be read, by the keys that are in the key file then.
func TestPowerLossWhileKeysRotate(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d%% of unsynced data survives", percent), func(t *testing.T) {
			t.Parallel()
			rotateUnderCrashes(t, percent, rand.New(rand.NewPCG(seed, uint64(percent))))
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

// counters are the values acknowledged last, by writer.
type counters struct {
	sync.Mutex
	last []int
}

func (c *counters) copy() []int {
	c.Lock()
	defer c.Unlock()
	return append([]int(nil), c.last...)
}

// known is what was known just before a crash.
type known struct {
	acked []int
	keys  []byte
}

func rotateUnderCrashes(t *testing.T, percent int, rng *rand.Rand) {
	const writers = 8
	keyFile := filepath.Join(t.TempDir(), "keys")
	acked := &counters{last: make([]int, writers)}
	mem := vfs.NewCrashableMem()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fs, crashes := crashfs.Anywhere(ctx, mem, crashfs.Config{Percent: percent, RNG: rng, Between: 300}, func() known {
		k := known{acked: acked.copy()}
		// The key file is not in the clone.
		k.keys, _ = os.ReadFile(keyFile)
		return k
	})
	s := openStore(t, Options{FS: fs, Encryption: &Encryption{KeyFile: keyFile, Prefixes: []string{"/configmaps/"}}})
	r := configMaps(t, s)
	var work sync.WaitGroup
	for i := range writers {
		work.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := count(r, i, n); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				acked.Lock()
				acked.last[i] = n
				acked.Unlock()
			}
		})
	}
	rotations := 0
	work.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.RotateKey(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("rotate: %v", err)
				return
			}
			rotations++
		}
	})
	checked := 0
	for checked < *crashClones && !t.Failed() {
		c := <-crashes
		now, err := os.ReadFile(keyFile)
		if err != nil || string(now) != string(c.Known.keys) {
			continue // the key file changed while the clone was made: they do not belong together
		}
		checkCounters(t, c.Clone, c.Known, acked.copy())
		checked++
	}
	stop()
	work.Wait()
	t.Logf("%d crashes, %d rotations", checked, rotations)
}

func counterKey(i int) string { return fmt.Sprintf("/configmaps/default/counter-%d", i) }

// count makes the writer's object say n. Every fifth time it is made anew.
func count(r *Resource, i, n int) error {
	ctx, name := context.Background(), fmt.Sprintf("counter-%d", i)
	if n%5 == 1 {
		if n > 1 {
			if err := r.Delete(ctx, counterKey(i), &corev1.ConfigMap{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
				return err
			}
		}
		obj := configMap(name)
		obj.Data["n"] = strconv.Itoa(n)
		return r.Create(ctx, counterKey(i), obj, nil, 0)
	}
	return r.GuaranteedUpdate(ctx, counterKey(i), &corev1.ConfigMap{}, false, nil,
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			obj.(*corev1.ConfigMap).Data["n"] = strconv.Itoa(n)
			return obj, nil
		}), nil)
}

// checkCounters opens what a crash left with the keys of that moment. later is what
// was acknowledged somewhat after it.
func checkCounters(t *testing.T, fs vfs.FS, k known, later []int) {
	keyFile := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keyFile, k.keys, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open("data", Options{FS: fs, Encryption: &Encryption{KeyFile: keyFile, Prefixes: []string{"/configmaps/"}}})
	if err != nil {
		t.Errorf("open after the crash: %v", err)
		return
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := configMaps(t, s)
	var list corev1.ConfigMapList
	if err := r.GetList(t.Context(), "/configmaps/", everything, &list); err != nil {
		t.Errorf("list after the crash: %v", err)
	}
	for i, n := range k.acked {
		out := &corev1.ConfigMap{}
		err := r.Get(t.Context(), counterKey(i), storage.GetOptions{}, out)
		got, convErr := strconv.Atoi(out.Data["n"])
		switch {
		case storage.IsNotFound(err):
			// It is made anew by two writes, the first of which may be there.
			if n%5 != 0 && later[i]/5 == n/5 {
				t.Errorf("counter %d is gone, %d was acknowledged", i, n)
			}
		case errors.Join(err, convErr) != nil || got < n || got > later[i]+1:
			t.Errorf("counter %d is at %d (%v), %d was acknowledged", i, got, errors.Join(err, convErr), n)
		}
	}
	if _, err := s.RotateKey(t.Context()); err != nil {
		t.Errorf("rotate after the crash: %v", err)
	}
}
