package kv

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pintle-io/pintle/store/storetest/crashfs"
)

var (
	crashClones = flag.Int("crash.clones", 10, "let the power fail so many `TIMES` in TestPowerLossAnywhere, per share of surviving data")
	crashSeed   = flag.Uint64("crash.seed", 0, "the `SEED` of the crash tests; 0 draws one")
)

// seedFor draws the seed of a test, which a failure shows.
func seedFor(t *testing.T) *rand.Rand {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// sealed makes a value that shows if any of it is wrong. Its first byte is one of
// two that mean the same, for Rewrite.
func sealed(key string, n int) []byte {
	body := fmt.Sprintf("%s %d %s", key, n, strings.Repeat("x", 100+n%200))
	return fmt.Appendf(nil, "A%s %08x", body, crc32.ChecksumIEEE([]byte(body)))
}

func unseal(key string, value []byte) (n int, err error) {
	if len(value) < 10 || value[0] != 'A' && value[0] != 'B' {
		return 0, fmt.Errorf("%s: value %.20q", key, value)
	}
	body, sum := value[1:len(value)-9], value[len(value)-8:]
	var name string
	if _, err := fmt.Sscanf(string(body), "%s %d", &name, &n); err != nil || name != key ||
		string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return 0, fmt.Errorf("%s: value %.20q: %v", key, value, err)
	}
	return n, nil
}

// trio is a writer of three keys that always change together, the third of which
// comes and goes.
type trio struct{ keys [3]string }

func newTrio(i int) trio {
	return trio{[3]string{fmt.Sprintf("/t%d/a", i), fmt.Sprintf("/t%d/b", i), fmt.Sprintf("/t%d/c", i)}}
}

func (w trio) has(n, key int) bool { return key < 2 || n%4 > 0 }

func (w trio) txn(n int) Txn {
	var txn Txn
	for i, key := range w.keys {
		op := Op{Key: key}
		if op.Delete = !w.has(n, i); !op.Delete {
			op.Value = sealed(key, n)
		}
		txn.Ops = append(txn.Ops, op)
	}
	return txn
}

// check compares the writer's keys as of rev (0: newest) with the write of at least
// number n, and returns which one it is.
func (w trio) check(db *DB, rev int64, n int) (int, error) {
	found := -1
	for i, key := range w.keys {
		e, ok, err := db.Get(key, rev)
		if err != nil {
			return 0, err
		}
		if !ok && (i < 2 && n > 0) {
			return 0, fmt.Errorf("%s is gone, written %d times", key, n)
		}
		if !ok {
			continue
		}
		got, err := unseal(key, e.Value)
		if err != nil {
			return 0, err
		}
		if found >= 0 && got != found || !w.has(got, i) {
			return 0, fmt.Errorf("%s is of write %d, its sister of %d", key, got, found)
		}
		found = got
	}
	if found >= 0 && w.has(found, 2) {
		if _, ok, err := db.Get(w.keys[2], rev); err != nil || !ok {
			return 0, fmt.Errorf("%s is missing in write %d: %v", w.keys[2], found, err)
		}
	}
	if n > 0 && found < n {
		return found, fmt.Errorf("%s is of write %d, %d was acknowledged", w.keys[0], found, n)
	}
	return found, nil
}

// acks are the acknowledged writes: by writer, the revision of each.
type acks struct {
	mu   sync.Mutex
	revs [][]int64
}

func (a *acks) add(writer int, rev int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revs[writer] = append(a.revs[writer], rev)
}

func (a *acks) copy() [][]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([][]int64, len(a.revs))
	for i := range a.revs {
		out[i] = slices.Clone(a.revs[i])
	}
	return out
}

// checkTrios opens what a crash left and compares it with what was acknowledged.
// copied is a copy that was complete before the crash, or "".
func checkTrios(t *testing.T, fs vfs.FS, acked [][]int64, copied string) {
	t.Helper()
	db, err := Open("data", Options{FS: fs})
	if err != nil {
		t.Errorf("open after the crash: %v", err)
		return
	}
	for i, revs := range acked {
		w := newTrio(i)
		if _, err := w.check(db, 0, len(revs)); err != nil {
			t.Errorf("after the crash: %v", err)
		}
		for n, rev := range revs {
			if rev < db.Compacted() {
				continue
			}
			if got, err := w.check(db, rev, n+1); err != nil || got != n+1 {
				t.Errorf("write %d of %s at revision %d: found %d, %v", n+1, w.keys[0], rev, got, err)
			}
		}
	}
	checkTrioLog(t, db)
	put(t, db, "/after", "crash")
	if err := db.Compact(db.Revision()); err != nil {
		t.Errorf("compact after the crash: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	report, err := Verify(t.Context(), "data", Options{FS: fs}, nil)
	if err != nil || len(report.Damages) > 0 {
		t.Errorf("verify after the crash: %+v, %v", report, err)
	}
	if copied != "" {
		db, err := Open(copied, Options{FS: fs})
		if err != nil {
			t.Errorf("open a copy made before the crash: %v", err)
			return
		}
		checkTrioLog(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkTrioLog verifies that no revision is missing in the log, and that every one
// did all that its write was to do.
func checkTrioLog(t *testing.T, db *DB) {
	t.Helper()
	last, ops := max(db.Compacted(), firstRevision), 0
	_, err := db.History(last, "/t", func(e PastEvent) bool {
		if e.Rev != last {
			if e.Rev != last+1 || ops == 1 {
				t.Errorf("log goes from revision %d with %d operations to %d", last, ops, e.Rev)
			}
			last, ops = e.Rev, 0
		}
		ops++
		if !e.Deleted {
			if _, err := unseal(e.Key, e.Value); err != nil {
				t.Errorf("revision %d: %v", e.Rev, err)
			}
		}
		return !t.Failed()
	})
	if err != nil || last != db.Revision() {
		t.Errorf("log ends at %d, store is at %d: %v", last, db.Revision(), err)
	}
}

// The power may fail at any moment of the very first start and the first writes.
func TestPowerLossAtFirstStart(t *testing.T) {
	const writes = 4
	// live runs the first life of a store. point is called before each operation.
	live := func(mem *vfs.MemFS, point func(op int64, acked *acks)) {
		acked := &acks{revs: make([][]int64, 1)}
		db, err := Open("data", Options{FS: crashfs.Watch(mem, func(op int64) { point(op, acked) })})
		if err != nil {
			t.Fatal(err)
		}
		for n := range writes {
			rev, err := db.Write(t.Context(), newTrio(0).txn(n+1))
			if err != nil {
				t.Fatal(err)
			}
			acked.add(0, rev)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	operations := int64(0)
	live(vfs.NewCrashableMem(), func(op int64, _ *acks) { operations = max(operations, op+1) })
	if operations < 20 {
		t.Fatalf("only %d operations", operations)
	}
	rng := seedFor(t)
	for _, percent := range []int{0, 50, 100} {
		mem := vfs.NewCrashableMem()
		type crash struct {
			clone *vfs.MemFS
			acked [][]int64
		}
		var crashes []crash
		var mu sync.Mutex
		live(mem, func(_ int64, acked *acks) {
			mu.Lock()
			defer mu.Unlock()
			before := acked.copy()
			crashes = append(crashes, crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}), before})
		})
		for i, c := range crashes {
			checkTrios(t, c.clone, c.acked, "")
			if t.Failed() {
				t.Fatalf("before operation %d of the first start, %d%% of unsynced data survives", i, percent)
			}
		}
	}
}

// The power fails at random operations under concurrent writers, while history is
// compacted, copies are made, and stored values are rewritten, all the time.
func TestPowerLossAnywhere(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d%% of unsynced data survives", percent), func(t *testing.T) {
			t.Parallel()
			powerLossAnywhere(t, percent, seedFor(t))
		})
	}
}

func powerLossAnywhere(t *testing.T, percent int, rng *rand.Rand) {
	const writers = 16
	type known struct {
		acked  [][]int64
		copied string
	}
	mem, acked := vfs.NewCrashableMem(), &acks{revs: make([][]int64, writers)}
	var copied atomic.Pointer[string]
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fs, crashes := crashfs.Anywhere(ctx, mem, crashfs.Config{Percent: percent, RNG: rng, Between: 600}, func() known {
		k := known{acked: acked.copy()}
		if name := copied.Load(); name != nil {
			k.copied = *name
		}
		return k
	})
	db := openTest(t, Options{MemTableBytes: 64 << 10, FS: fs})
	var work sync.WaitGroup
	loop := func(do func(i int) error) {
		work.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				if err := do(i); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range writers {
		w := newTrio(i)
		loop(func(n int) error {
			rev, err := db.Write(context.Background(), w.txn(n))
			if err == nil {
				acked.add(i, rev)
			}
			return err
		})
	}
	loop(func(int) error {
		if rev := db.Revision() - 300; rev > db.Compacted() {
			return db.Compact(rev)
		}
		return nil
	})
	loop(func(i int) error {
		name := fmt.Sprintf("copy%d", i)
		if err := db.Checkpoint(name); err != nil {
			return err
		}
		last := copied.Swap(&name)
		if last == nil {
			return nil
		}
		// The one before the last may be in a clone that is being checked: it is
		// a file system of its own.
		return mem.RemoveAll(*last)
	})
	loop(func(i int) error {
		_, err := db.Rewrite(ctx, func(key string, _ int64, value []byte) ([]byte, error) {
			form := "AB"[i%2]
			if len(value) == 0 || value[0] == form || !strings.HasPrefix(key, "/t") {
				return nil, nil
			}
			return append([]byte{form}, value[1:]...), nil
		})
		return err
	})
	for i := range *crashClones {
		c := <-crashes
		checkTrios(t, c.Clone, c.Known.acked, c.Known.copied)
		if t.Failed() {
			t.Fatalf("crash %d", i)
		}
	}
	stop()
	work.Wait()
}
