package kv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
)

func openTest(t testing.TB, opts Options) *DB {
	t.Helper()
	dir := "data"
	if opts.FS == nil {
		dir = t.TempDir()
	}
	db, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return db
}

func put(t testing.TB, db *DB, key, value string) int64 {
	t.Helper()
	rev, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestConditions(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	rev := put(t, db, "/a", "1")
	for _, tc := range []struct {
		name string
		cond Cond
		ok   bool
	}{
		{"exact", Cond{"/a", rev}, true},
		{"other revision", Cond{"/a", rev + 1}, false},
		{"present", Cond{"/a", Present}, true},
		{"absent", Cond{"/a", Absent}, false},
		{"missing key absent", Cond{"/b", Absent}, true},
		{"missing key present", Cond{"/b", Present}, false},
		{"missing key at a revision", Cond{"/b", rev}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := db.Write(context.Background(), Txn{Conds: []Cond{tc.cond}, Ops: []Op{{Key: "/c", Value: []byte("x")}}})
			var conflict *ConflictError
			if got := !errors.As(err, &conflict); got != tc.ok {
				t.Fatalf("got %v", err)
			}
			if conflict != nil && conflict.Key != tc.cond.Key {
				t.Errorf("conflict names %s", conflict.Key)
			}
		})
	}
}

// Of many writers that demand the same revision, exactly one may win, also when
// they are checked in one batch.
func TestOneWinner(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	rev := put(t, db, "/a", "0")
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			_, err := db.Write(context.Background(), Txn{
				Conds: []Cond{{"/a", rev}},
				Ops:   []Op{{Key: "/a", Value: fmt.Append(nil, i)}},
			})
			if err == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d writers won", won.Load())
	}
}

func TestPublishInOrderBeforeAck(t *testing.T) {
	var published []int64
	var seen atomic.Int64
	db := openTest(t, Options{FS: vfs.NewMem(), Publish: func(events []Event) {
		for _, e := range events {
			published = append(published, e.Rev)
			seen.Store(e.Rev)
		}
	}})
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			for j := range 20 {
				if rev := put(t, db, fmt.Sprintf("/%d/%d", i, j), "v"); seen.Load() < rev {
					t.Errorf("revision %d acknowledged before it was published", rev)
				}
			}
		})
	}
	group.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for i, rev := range published {
		if rev != int64(firstRevision+1+i) {
			t.Fatalf("event %d has revision %d", i, rev)
		}
	}
	if len(published) != 1000 {
		t.Fatalf("%d events", len(published))
	}
}

func TestInvalidRequests(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	for name, txn := range map[string]Txn{
		"empty key":      {Ops: []Op{{Key: ""}}},
		"NUL in key":     {Ops: []Op{{Key: "/a\x00b"}}},
		"NUL in cond":    {Conds: []Cond{{Key: "\x00"}}},
		"key used twice": {Ops: []Op{{Key: "/a"}, {Key: "/a", Delete: true}}},
	} {
		if _, err := db.Write(context.Background(), txn); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Write(ctx, Txn{Ops: []Op{{Key: "/a"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("write with an ended context: %v", err)
	}
	if db.Revision() != firstRevision {
		t.Errorf("revision is %d", db.Revision())
	}
}

func TestDeletingNothingTakesNoRevision(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	rev := put(t, db, "/a", "1")
	got, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: "/b", Delete: true}}})
	if err != nil || got != rev {
		t.Fatalf("revision %d, %v; want %d", got, err, rev)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
}

func TestUnknownFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, Options{FS: fs})
	if err := db.pebble.Set(metaFormat, []byte{99}, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "format") {
		t.Fatalf("open of an unknown format: %v", err)
	}
}

// A WAL that cannot be synced must stop writes, not the process, and the write
// in question must not be acknowledged.
func TestFailedSyncStopsWrites(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, ".log") {
			return errors.New("injected")
		}
		return nil
	}))
	db := openTest(t, Options{FS: fs})
	put(t, db, "/a", "1")
	broken.Store(true)
	for range 3 {
		if _, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: "/a", Value: []byte("2")}}}); !errors.Is(err, ErrFailed) {
			t.Fatalf("write on a broken disk: %v", err)
		}
	}
	if err := db.Compact(2); !errors.Is(err, ErrFailed) {
		t.Errorf("compaction on a broken disk: %v", err)
	}
	if !errors.Is(db.Err(), ErrFailed) {
		t.Errorf("Err is %v", db.Err())
	}
	if e, _, err := db.Get("/a", 0); err != nil || string(e.Value) != "1" {
		t.Errorf("read after the failure: %q, %v", e.Value, err)
	}
}

func TestCheckpointIsAStore(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, Options{FS: fs})
	rev := put(t, db, "/a", "1")
	if err := db.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	put(t, db, "/a", "2")
	clone, err := Open("copy", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := clone.Close(); err != nil {
			t.Error(err)
		}
	}()
	e, found, err := clone.Get("/a", 0)
	if err != nil || !found || string(e.Value) != "1" || clone.Revision() != rev {
		t.Fatalf("%q at %d, %v, %v", e.Value, clone.Revision(), found, err)
	}
}

func TestExpired(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	set := func(key string, expiry int64) {
		t.Helper()
		if _, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: key, Expiry: expiry}}}); err != nil {
			t.Fatal(err)
		}
	}
	set("/late", 200)
	set("/early", 50)
	set("/moved", 10)
	set("/moved", 300)
	set("/never", 20)
	set("/never", 0)
	set("/gone", 30)
	if _, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: "/gone", Delete: true}}}); err != nil {
		t.Fatal(err)
	}
	for now, want := range map[int64][]string{49: nil, 50: {"/early"}, 250: {"/early", "/late"}, 400: {"/early", "/late", "/moved"}} {
		got, err := db.Expired(now, 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at %d: %s", now, diff)
		}
	}
}

func TestBoundsOfHistory(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	opts := Options{FS: vfs.NewMem(), HistoryAge: time.Hour, HistoryBytes: 100_000, Now: func() time.Time { return now }}
	t.Run("age", func(t *testing.T) {
		db := openTest(t, opts)
		old := put(t, db, "/a", "1")
		now = now.Add(30 * time.Minute)
		put(t, db, "/a", "2")
		now = now.Add(40 * time.Minute)
		put(t, db, "/a", "3")
		if err := db.CompactNow(); err != nil {
			t.Fatal(err)
		}
		if db.Compacted() != old {
			t.Fatalf("compacted to %d, want %d", db.Compacted(), old)
		}
	})
	t.Run("size", func(t *testing.T) {
		opts.FS = vfs.NewMem()
		db := openTest(t, opts)
		value := strings.Repeat("x", 1000)
		for range 200 {
			put(t, db, "/a", value)
		}
		before := db.HistoryBytes()
		if err := db.CompactNow(); err != nil {
			t.Fatal(err)
		}
		if got := db.HistoryBytes(); got > opts.HistoryBytes || got < opts.HistoryBytes/2 {
			t.Fatalf("history went from %d to %d bytes, bound %d", before, got, opts.HistoryBytes)
		}
	})
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"/a/": "/a0", "a": "b", "a\xff": "b", "\xff\xff": "", "": ""} {
		if got := PrefixEnd(prefix); got != want {
			t.Errorf("PrefixEnd(%q) = %q, want %q", prefix, got, want)
		}
	}
}
