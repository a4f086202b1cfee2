package kv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is the whole store, kept the simple way: every state there ever was.
type model struct {
	fs        vfs.FS
	db        *DB
	states    map[int64]map[string]string // by revision
	heads     map[string]Head
	events    []PastEvent
	revision  int64
	compacted int64
}

func newModel(t *rapid.T) *model {
	m := &model{
		fs:       vfs.NewMem(),
		states:   map[int64]map[string]string{firstRevision: {}},
		heads:    map[string]Head{},
		revision: firstRevision,
	}
	m.open(t)
	return m
}

func (m *model) open(t *rapid.T) {
	db, err := Open("data", Options{FS: m.fs, MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	m.db = db
}

func (m *model) reopen(t *rapid.T) {
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
}

// Keys that are prefixes of each other, and bytes next to the separator.
var keyGen = rapid.SampledFrom([]string{"/a", "/a/", "/a/b", "/a/b\x01", "/a/b\x01c", "/a/bc", "/b", "/\xff", "/\xff\xff", "a"})

var boundGen = rapid.OneOf(keyGen, rapid.Just(""), rapid.Map(keyGen, func(k string) string { return k + "\x00" }))

func (m *model) write(t *rapid.T) {
	keys := rapid.SliceOfNDistinct(keyGen, 1, 3, rapid.ID[string]).Draw(t, "keys")
	var txn Txn
	for _, key := range keys {
		op := Op{Key: key, Delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0}
		if !op.Delete {
			op.Value = []byte(fmt.Sprintf("%s=%d", key, rapid.IntRange(0, 1<<20).Draw(t, "value")))
		}
		txn.Ops = append(txn.Ops, op)
	}
	holds := true
	if rapid.Bool().Draw(t, "conditional") {
		c := Cond{Key: keyGen.Draw(t, "cond key")}
		truth := m.heads[c.Key].ModRev
		c.ModRev = rapid.SampledFrom([]int64{Absent, Present, truth, truth + 1}).Draw(t, "cond")
		holds = c.holds(m.heads[c.Key])
		txn.Conds = []Cond{c}
	}
	rev, err := m.db.Write(context.Background(), txn)
	if !holds {
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Head != m.heads[conflict.Key] {
			t.Fatalf("want a conflict, got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.apply(txn)
	if rev != m.revision {
		t.Fatalf("revision %d, want %d", rev, m.revision)
	}
}

func (m *model) apply(txn Txn) {
	next := maps.Clone(m.states[m.revision])
	rev, sub := m.revision+1, 0
	for _, op := range txn.Ops {
		prev := m.heads[op.Key]
		if op.Delete && prev.ModRev == 0 {
			continue
		}
		e := PastEvent{Event: Event{Rev: rev, Sub: sub, Key: op.Key, Deleted: op.Delete, Value: op.Value, Head: Head{ModRev: rev}, Prev: prev}}
		if prev.ModRev != 0 {
			e.PrevValue = []byte(next[op.Key])
		}
		if op.Delete {
			delete(next, op.Key)
			delete(m.heads, op.Key)
		} else {
			e.Head = Head{ModRev: rev, CreateRev: rev, Size: len(op.Value)}
			if prev.ModRev != 0 {
				e.Head.CreateRev = prev.CreateRev
			}
			next[op.Key] = string(op.Value)
			m.heads[op.Key] = e.Head
		}
		m.events = append(m.events, e)
		sub++
	}
	if sub > 0 {
		m.revision = rev
		m.states[rev] = next
	}
}

func (m *model) someRevision(t *rapid.T) int64 {
	return rapid.Int64Range(max(1, m.compacted-1), m.revision+1).Draw(t, "revision")
}

// outOfRange checks err against what a read at rev should say, and reports
// whether there is nothing more to compare.
func (m *model) outOfRange(t *rapid.T, rev int64, err error) bool {
	var want error
	switch {
	case rev < m.compacted:
		want = ErrCompacted
	case rev > m.revision:
		want = ErrFutureRevision
	}
	if !errors.Is(err, want) {
		t.Fatalf("at revision %d of (%d, %d): %v, want %v", rev, m.compacted, m.revision, err, want)
	}
	return want != nil
}

func (m *model) get(t *rapid.T) {
	key, rev := keyGen.Draw(t, "key"), m.someRevision(t)
	e, found, err := m.db.Get(key, rev)
	if m.outOfRange(t, rev, err) {
		return
	}
	want, exists := m.states[rev][key]
	if found != exists || string(e.Value) != want {
		t.Fatalf("get %q at %d: %q, %v; want %q, %v", key, rev, e.Value, found, want, exists)
	}
}

func (m *model) scanRange(t *rapid.T) {
	start, end, rev := boundGen.Draw(t, "start"), boundGen.Draw(t, "end"), m.someRevision(t)
	if end != "" && end < start {
		start, end = end, start
	}
	var got []string
	_, err := m.db.Range(start, end, rev, func(e Entry) bool {
		got = append(got, e.Key+"="+string(e.Value))
		return true
	})
	if m.outOfRange(t, rev, err) {
		return
	}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m.states[rev])) {
		if key >= start && (end == "" || key < end) {
			want = append(want, key+"="+m.states[rev][key])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("range [%q, %q) at %d: %s", start, end, rev, diff)
	}
}

func (m *model) history(t *rapid.T) {
	after := rapid.Int64Range(max(1, m.compacted-1), m.revision).Draw(t, "after")
	prefix := rapid.SampledFrom([]string{"", "/", "/a/"}).Draw(t, "prefix")
	var got []PastEvent
	last, err := m.db.History(after, prefix, func(e PastEvent) bool {
		got = append(got, e)
		return true
	})
	if m.outOfRange(t, after, err) {
		return
	}
	var want []PastEvent
	for _, e := range m.events {
		if e.Rev > after && len(e.Key) >= len(prefix) && e.Key[:len(prefix)] == prefix {
			want = append(want, e)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || last != m.revision {
		t.Fatalf("history after %d to %d: %s", after, last, diff)
	}
}

func (m *model) compact(t *rapid.T) {
	rev := rapid.Int64Range(m.compacted, m.revision+1).Draw(t, "compact")
	err := m.db.Compact(rev)
	switch {
	case rev <= m.compacted:
		if !errors.Is(err, ErrCompacted) {
			t.Fatalf("compact again: %v", err)
		}
	case rev > m.revision:
		if !errors.Is(err, ErrFutureRevision) {
			t.Fatalf("compact the future: %v", err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		m.compacted = rev
	}
}

func (m *model) check(t *rapid.T) {
	if m.db.Revision() != m.revision || m.db.Compacted() != m.compacted {
		t.Fatalf("at (%d, %d), want (%d, %d)", m.db.Compacted(), m.db.Revision(), m.compacted, m.revision)
	}
}

// The store behaves like the model through writes, reads, compactions and
// reopenings in any order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		defer func() { _ = m.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"write1":  m.write,
			"write2":  m.write,
			"write3":  m.write,
			"get":     m.get,
			"range":   m.scanRange,
			"history": m.history,
			"compact": m.compact,
			"reopen":  m.reopen,
			"":        m.check,
		})
	})
}

// After everything is compacted and deleted, nothing of the keys is left.
func TestCompactionLeavesNoGarbage(t *testing.T) {
	db := openTest(t, Options{FS: vfs.NewMem()})
	for i := range 3000 {
		put(t, db, fmt.Sprintf("/%d", i%100), "v")
	}
	for i := range 100 {
		if _, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: fmt.Sprintf("/%d", i), Delete: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(db.Revision()); err != nil {
		t.Fatal(err)
	}
	it, err := db.pebble.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if space := it.Key()[0]; space != spaceMeta && space != spaceTime {
			t.Fatalf("left behind: %q", it.Key())
		}
	}
	if db.HistoryBytes() != 0 {
		t.Errorf("history of %d bytes", db.HistoryBytes())
	}
}
