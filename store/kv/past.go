package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Version is one retained version of a key.
type Version struct {
	// Value is nil if the key was deleted at this revision.
	Value   []byte
	Deleted bool
	Head    Head
}

// Versions calls fn for the retained versions of key, the newest first, until fn
// returns false. The oldest may have been written before the compacted revision.
func (db *DB) Versions(key string, fn func(Version) bool) error {
	if err := checkKey(key); err != nil {
		return err
	}
	it, err := db.pebble.NewIter(&pebble.IterOptions{
		LowerBound: append(appendVersionBound(nil, key), 0),
		UpperBound: appendVersionEnd(nil, []byte(key)),
	})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		_, rev, err := parseVersionKey(it.Key())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		v, err := parseVersion(it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		out := Version{Deleted: v.tombstone, Head: Head{ModRev: rev, CreateRev: v.createRev, Expiry: v.expiry, Size: len(v.value)}}
		if !v.tombstone {
			out.Value = append([]byte{}, v.value...)
		}
		if !fn(out) {
			break
		}
	}
	return readError(errors.Join(it.Error(), it.Close()))
}

// RevisionAt is the newest revision as of t, to about a second. ErrCompacted says
// that the history does not reach back so far.
func (db *DB) RevisionAt(t time.Time) (int64, error) {
	rev, err := db.revisionAt(t)
	if err != nil {
		return 0, err
	}
	if rev < db.compacted.Load() || rev < firstRevision {
		return 0, ErrCompacted
	}
	return rev, nil
}

// Timeline tells when revisions were written.
type Timeline struct {
	seconds   []int64
	revisions []int64 // before the second of the same index
}

// Timeline reads the times of all retained revisions.
func (db *DB) Timeline() (*Timeline, error) {
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceTime}, UpperBound: []byte{spaceTime + 1}})
	if err != nil {
		return nil, err
	}
	t := &Timeline{}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != 9 || len(it.Value()) != 8 {
			return nil, errors.Join(fmt.Errorf("%w: time mark %q", errRecord, it.Key()), it.Close())
		}
		t.seconds = append(t.seconds, int64(binary.BigEndian.Uint64(it.Key()[1:])))
		t.revisions = append(t.revisions, int64(binary.BigEndian.Uint64(it.Value())))
	}
	return t, errors.Join(it.Error(), it.Close())
}

// Time is when rev was written, to about a second; the zero Time if that is not
// known any more.
func (t *Timeline) Time(rev int64) time.Time {
	// The last mark that was made before rev was written.
	i := sort.Search(len(t.revisions), func(i int) bool { return t.revisions[i] >= rev }) - 1
	if i < 0 {
		return time.Time{}
	}
	return time.Unix(t.seconds[i], 0)
}

// Start is the time of the oldest mark, or the zero Time.
func (t *Timeline) Start() time.Time {
	if len(t.seconds) == 0 {
		return time.Time{}
	}
	return time.Unix(t.seconds[0], 0)
}

// Note returns what SetNote kept under a name; nil if nothing.
func (db *DB) Note(name string) ([]byte, error) { return db.getMeta(noteKey(name)) }

// SetNote keeps a few bytes beside the keys, durably and without a revision.
func (db *DB) SetNote(name string, value []byte) error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	return db.shield(func() error { return db.failedOr(db.pebble.Set(noteKey(name), value, pebble.Sync)) })
}

func noteKey(name string) []byte { return append([]byte{spaceMeta, 'n'}, name...) }
