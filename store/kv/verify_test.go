package kv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// fill writes n keys in two versions each, and deletes some.
func fill(t testing.TB, db *DB, n int) {
	t.Helper()
	var first, second []Txn
	for i := range n {
		key := fmt.Sprintf("/pods/default/pod-%05d", i)
		op := Op{Key: key, Value: fmt.Appendf(nil, "%s %x", key, rand.New(rand.NewPCG(uint64(i), 1)).Uint64())}
		if i%10 == 0 {
			op.Expiry = 4_000_000_000
		}
		first = append(first, Txn{Ops: []Op{op}})
	}
	for i := range n {
		key := fmt.Sprintf("/pods/default/pod-%05d", i)
		if i%7 == 0 {
			second = append(second, Txn{Ops: []Op{{Key: key, Delete: true}}})
		} else if i%3 == 0 {
			second = append(second, Txn{Ops: []Op{{Key: key, Value: []byte("second")}}})
		}
	}
	for _, txns := range [][]Txn{first, second} {
		var group errgroup.Group
		group.SetLimit(256)
		for _, txn := range txns {
			group.Go(func() error {
				_, err := db.Write(context.Background(), txn)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// filled makes a closed store on disk.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, n)
	if err := db.Compact(db.Revision() / 4); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifySound(t *testing.T) {
	dir := filled(t, 2000)
	checked := 0
	report, err := Verify(context.Background(), dir, Options{}, func(string, int64, []byte) error {
		checked++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Damages) > 0 {
		t.Fatalf("%d damages, the first: %s", len(report.Damages), report.Damages[0])
	}
	if report.Keys != 2000-286 || report.Tables == 0 || checked < report.Keys {
		t.Errorf("%+v, %d values checked", report, checked)
	}
}

// A flipped byte anywhere in a table is found, and the keys it makes unreadable
// are named.
func TestVerifyFindsFlippedBytes(t *testing.T) {
	dir := filled(t, 1500)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	named := 0
	for range 4 {
		table := tables[rng.IntN(len(tables))]
		undo := flip(t, table, rng)
		report, err := Verify(context.Background(), dir, Options{}, nil)
		if err == nil {
			if !damaged(report, filepath.Base(table)) {
				t.Fatalf("%s: not found: %v", table, report.Damages)
			}
			for _, d := range report.Damages {
				if strings.Contains(d.Key, "/pods/default/pod-") {
					named++
					break
				}
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Fatalf("refused for another reason: %v", err)
		}
		undo()
	}
	if named == 0 {
		t.Error("no key was named in any round")
	}
	if report, err := Verify(context.Background(), dir, Options{}, nil); err != nil || len(report.Damages) > 0 {
		t.Fatalf("after undoing everything: %v, %v", report, err)
	}
}

func damaged(r *Report, file string) bool {
	for _, d := range r.Damages {
		if d.File == file {
			return true
		}
	}
	return false
}

// flip changes one byte of a file and returns what undoes it.
func flip(t *testing.T, path string, rng *rand.Rand) func() {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, raw...)
	damaged[rng.IntN(len(raw))] ^= byte(1 + rng.IntN(255))
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(damaged)
	return func() { write(raw) }
}

// A version that is gone, one that nobody wrote and a value that cannot be read are
// named, each by its key.
func TestVerifyNamesKeys(t *testing.T) {
	dir := filled(t, 100)
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	gone, found, err := db.Get("/pods/default/pod-00099", 0)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	b := db.pebble.NewBatch()
	for _, step := range []error{
		b.Delete(appendVersionKey(nil, gone.Key, gone.Head.ModRev), nil),
		b.Set(appendVersionKey(nil, "/pods/default/stray", db.Revision()-1), appendVersion(nil, version{createRev: 1, value: []byte("x")}), nil),
		b.Delete(appendExpiryKey(nil, 4_000_000_000, "/pods/default/pod-00010"), nil),
		b.Delete(appendLogKey(nil, db.Revision()-5, 0), nil),
		b.Commit(nil),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(context.Background(), dir, Options{}, func(key string, _ int64, _ []byte) error {
		if key == "/pods/default/pod-00050" {
			return errors.New("no object")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, d := range report.Damages {
		fmt.Fprintln(&all, d)
	}
	for _, want := range []string{
		fmt.Sprintf("pod-00099 at revision %d: the version is missing", gone.Head.ModRev),
		"stray at revision", "no event tells of this version", "events after revision", "pod-00050", "no object", "an object that expires",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q is not in\n%s", want, all.String())
		}
	}
}

// A damaged end of the log or the manifest, which Pebble takes for an interrupted
// write, is refused, and can be accepted; then the lost revisions are never reused.
func TestLostRevisionsAreNoticed(t *testing.T) {
	for pattern, writes := range map[string]int{"*.log": 400, "MANIFEST-*": 3000} {
		t.Run(pattern, func(t *testing.T) {
			dir := t.TempDir()
			killedWriter(t, dir, writes)
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			newest := files[len(files)-1]
			raw, err := os.ReadFile(newest)
			if err != nil {
				t.Fatal(err)
			}
			end := len(strings.TrimRight(string(raw), "\x00"))
			if err := os.WriteFile(newest, raw[:end/2], 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, Options{})
			if err == nil {
				t.Fatal("opened in spite of lost writes")
			}
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			if !strings.Contains(err.Error(), "revisions up to") {
				return // Pebble misses a file, and does not open at all
			}
			before := errorRevision(t, err)
			db, err := Open(dir, Options{AcceptLoss: true})
			if err != nil {
				t.Fatal(err)
			}
			if rev := put(t, db, "/after", "loss"); rev <= before {
				t.Errorf("revision %d is used again, %d were acknowledged", rev, before)
			}
			if _, _, err := db.Get("/after", before); !errors.Is(err, ErrCompacted) {
				t.Errorf("read at a lost revision: %v", err)
			}
			if _, err := db.History(before, "", func(PastEvent) bool { return true }); !errors.Is(err, ErrCompacted) {
				t.Errorf("events after a lost revision: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if report, err := Verify(context.Background(), dir, Options{}, nil); err != nil || len(report.Damages) > 0 {
				t.Errorf("verify: %v, %v", report, err)
			}
		})
	}
}

func errorRevision(t *testing.T, err error) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(err.Error(), "revisions up to ")
	var rev int64
	if _, err := fmt.Sscan(rest, &rev); err != nil {
		t.Fatal(err)
	}
	return rev
}
