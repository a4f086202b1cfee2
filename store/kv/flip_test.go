package kv

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

var flips = flag.Int("crash.flips", 100, "damage so many `FILES` in TestDamageIsNoticed, per state of the store")

// Damage to any byte of any file, and any file cut short, is either refused with an
// error, at the start or when it is read, or changes nothing.
func TestDamageIsNoticed(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *vfs.MemFS{"closed": closedStore, "killed": killedStore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := seedFor(t)
			whole := make(t)
			truth, err := dump(copyOf(whole, rng))
			if err != nil {
				t.Fatal(err)
			}
			files := filesOf(t, whole)
			refused := map[string]int{}
			for i := range *flips {
				damaged := copyOf(whole, rng)
				what := damage(t, damaged, files[rng.IntN(len(files))], rng)
				got, err := dump(damaged)
				if err != nil {
					refused[kindOf(err)]++
					continue
				}
				if diff := cmp.Diff(truth, got); diff != "" {
					t.Fatalf("damage %d, %s, is not noticed (-truth +read): %.2000s", i, what, diff)
				}
			}
			t.Logf("of %d damages, refused: %v", *flips, refused)
		})
	}
}

func kindOf(err error) string {
	if errors.Is(err, ErrDamaged) {
		return "as damage"
	}
	return "otherwise"
}

// closedStore is a store with tables on several levels and history, closed.
func closedStore(t *testing.T) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	db := openTest(t, Options{FS: fs, MemTableBytes: 64 << 10})
	fillDamageable(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// killedStore is the same, killed, so that a part is in the log alone.
func killedStore(t *testing.T) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	db := openTest(t, Options{FS: fs, MemTableBytes: 64 << 10})
	fillDamageable(t, db)
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
}

func fillDamageable(t *testing.T, db *DB) {
	for n := range 200 {
		for i := range 4 {
			if _, err := db.Write(t.Context(), newTrio(i).txn(n+1)); err != nil {
				t.Fatal(err)
			}
		}
		if n == 50 {
			if err := db.Compact(db.Revision() - 20); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func copyOf(fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
}

// dump is everything that can be read: the newest state, the state at a revision,
// and history.
func dump(fs vfs.FS) (all map[string]string, err error) {
	db, err := Open("data", Options{FS: fs})
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	all = map[string]string{"revisions": fmt.Sprint(db.Revision(), db.Compacted())}
	for _, rev := range []int64{0, db.Revision() / 2} {
		if _, err := db.Range("", "", rev, func(e Entry) bool {
			all[fmt.Sprintf("%s at %d", e.Key, rev)] = fmt.Sprintf("%+v %s", e.Head, e.Value)
			return true
		}); err != nil {
			return nil, err
		}
	}
	_, err = db.History(db.Compacted(), "", func(e PastEvent) bool {
		all[fmt.Sprintf("%s event %d", e.Key, e.Rev)] = fmt.Sprintf("%v %+v %+v %s %s", e.Deleted, e.Head, e.Prev, e.Value, e.PrevValue)
		return true
	})
	return all, err
}

func filesOf(t *testing.T, fs vfs.FS) []string {
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for _, name := range names {
		if info, err := fs.Stat(path.Join("data", name)); err == nil && !info.IsDir() && info.Size() > 0 && !strings.HasPrefix(name, ballastName) {
			files[name] = true
		}
	}
	return slices.Sorted(maps.Keys(files))
}

// damage flips a bit, overwrites a run of bytes, or cuts off the end of a file.
func damage(t *testing.T, fs vfs.FS, name string, rng *rand.Rand) string {
	file := path.Join("data", name)
	data := readWhole(t, fs, file)
	at := rng.IntN(len(data))
	var what string
	switch rng.IntN(4) {
	case 0:
		data, what = data[:at], fmt.Sprintf("%s cut from %d bytes to %d", name, len(data), at)
	case 1:
		end := min(len(data), at+1+rng.IntN(512))
		for i := at; i < end; i++ {
			data[i] = 0
		}
		what = fmt.Sprintf("%s of %d bytes with zeros from %d to %d", name, len(data), at, end)
	default:
		bit := rng.IntN(8)
		data[at] ^= 1 << bit
		what = fmt.Sprintf("%s of %d bytes with bit %d of byte %d flipped", name, len(data), bit, at)
	}
	f, err := fs.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return what
}

func readWhole(t *testing.T, fs vfs.FS, file string) []byte {
	f, err := fs.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return data
}
