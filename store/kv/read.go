package kv

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// Entry is a key with its value at some revision.
type Entry struct {
	Key   string
	Value []byte
	Head  Head
}

// reader is what reads need of a Pebble DB or snapshot.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

// checkRevision resolves 0 to the newest revision and refuses what cannot be
// read. Call it after taking the snapshot: compaction raises the floor before
// it deletes.
func (db *DB) checkRevision(rev int64) error {
	switch {
	case rev < db.compacted.Load() || db.inGap(rev):
		return ErrCompacted
	case rev > db.revision.Load():
		return ErrFutureRevision
	}
	return nil
}

// Get reads key as of rev; 0 is the newest revision. found is false if the key
// did not exist then.
func (db *DB) Get(key string, rev int64) (e Entry, found bool, err error) {
	if err := checkKey(key); err != nil {
		return Entry{}, false, err
	}
	_, err = db.Range(key, key+"\x00", rev, func(got Entry) bool {
		got.Value = append([]byte{}, got.Value...)
		e, found = got, true
		return false
	})
	return e, found, err
}

// Range calls fn for each key in [start, end) as of rev, in order, until fn
// returns false; "" for end is no bound, 0 for rev the newest revision. Values
// are valid only during the call. It returns the revision read.
func (db *DB) Range(start, end string, rev int64, fn func(Entry) bool) (int64, error) {
	if rev == 0 {
		rev = db.revision.Load()
	}
	opts := pebble.IterOptions{LowerBound: appendVersionBound(nil, start), UpperBound: []byte{spaceVersions + 1}}
	if end != "" {
		opts.UpperBound = appendVersionBound(nil, end)
	}
	it, err := db.pebble.NewIter(&opts)
	if err != nil {
		return 0, err
	}
	if err := db.checkRevision(rev); err != nil {
		return 0, errors.Join(err, it.Close())
	}
	err = scan(it, rev, fn)
	return rev, readError(errors.Join(err, it.Close()))
}

// scan visits, for each user key, the newest version not after rev.
func scan(it *pebble.Iterator, rev int64, fn func(Entry) bool) error {
	var target []byte
	for ok := it.First(); ok; {
		key, got, err := parseVersionKey(it.Key())
		if err != nil {
			return err
		}
		if got > rev {
			target = appendVersionKey(target[:0], string(key), rev)
			ok = it.SeekGE(target)
			continue
		}
		v, err := parseVersion(it.Value())
		if err != nil {
			return err
		}
		if !v.tombstone {
			e := Entry{Key: string(key), Value: v.value, Head: Head{ModRev: got, CreateRev: v.createRev, Expiry: v.expiry, Size: len(v.value)}}
			if !fn(e) {
				return nil
			}
		}
		target = appendVersionEnd(target[:0], key)
		ok = skipTo(it, target)
	}
	return it.Error()
}

// skipTo moves to target: by a few steps where it is near, else by a seek.
func skipTo(it *pebble.Iterator, target []byte) bool {
	for range 3 {
		if !it.Next() {
			return false
		}
		if string(it.Key()) >= string(target) {
			return true
		}
	}
	return it.SeekGE(target)
}

// PastEvent is an event read back from history.
type PastEvent struct {
	Event
	// PrevValue is the value before; nil if the key was absent.
	PrevValue []byte
}

// History calls fn for every event after revision after whose key has the
// prefix, in order, until fn returns false or the newest durable revision has
// been passed. It returns the last revision that was completely visited. The
// slices are fn's to keep.
func (db *DB) History(after int64, prefix string, fn func(PastEvent) bool) (int64, error) {
	upTo := db.revision.Load()
	snap := db.pebble.NewSnapshot()
	last, err := db.history(snap, after, upTo, prefix, fn)
	return last, readError(errors.Join(err, snap.Close()))
}

func (db *DB) history(snap *pebble.Snapshot, after, upTo int64, prefix string, fn func(PastEvent) bool) (int64, error) {
	if after < db.compacted.Load() || db.inGap(after) {
		return 0, ErrCompacted
	}
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: appendLogKey(nil, after+1, 0), UpperBound: appendLogKey(nil, upTo+1, 0)})
	if err != nil {
		return 0, err
	}
	last, err := replay(snap, it, upTo, prefix, fn)
	return last, errors.Join(err, it.Close())
}

func replay(r reader, it *pebble.Iterator, upTo int64, prefix string, fn func(PastEvent) bool) (int64, error) {
	for ok := it.First(); ok; ok = it.Next() {
		rev, sub, err := parseLogKey(it.Key())
		if err != nil {
			return 0, err
		}
		rec, err := parseLogRecord(it.Value())
		if err != nil {
			return 0, err
		}
		if len(rec.key) < len(prefix) || rec.key[:len(prefix)] != prefix {
			continue
		}
		e, err := pastEvent(r, rev, sub, rec)
		if err != nil {
			return 0, err
		}
		if !fn(e) {
			return rev - 1, nil
		}
	}
	return upTo, it.Error()
}

func pastEvent(r reader, rev int64, sub int, rec logRecord) (PastEvent, error) {
	e := PastEvent{Event: Event{Rev: rev, Sub: sub, Key: rec.key, Deleted: rec.deleted, Head: Head{ModRev: rev}}}
	if !rec.deleted {
		v, err := getVersion(r, rec.key, rev)
		if err != nil {
			return e, err
		}
		e.Value = v.value
		e.Head = Head{ModRev: rev, CreateRev: v.createRev, Expiry: v.expiry, Size: len(v.value)}
	}
	if rec.prevRev != 0 {
		v, err := getVersion(r, rec.key, rec.prevRev)
		if err != nil {
			return e, err
		}
		e.PrevValue = v.value
		e.Prev = Head{ModRev: rec.prevRev, CreateRev: v.createRev, Expiry: v.expiry, Size: len(v.value)}
	}
	return e, nil
}

func getVersion(r reader, key string, rev int64) (version, error) {
	raw, closer, err := r.Get(appendVersionKey(nil, key, rev))
	if err != nil {
		return version{}, fmt.Errorf("read %s at revision %d: %w", key, rev, err)
	}
	v, err := parseVersion(append([]byte{}, raw...))
	return v, errors.Join(err, closer.Close())
}

// Expired returns up to limit live keys whose expiry is at or before now, in
// seconds since 1970, the longest expired first.
func (db *DB) Expired(now int64, limit int) ([]string, error) {
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceExpiry}, UpperBound: appendExpiryKey(nil, now+1, "")})
	if err != nil {
		return nil, err
	}
	var keys []string
	for ok := it.First(); ok && len(keys) < limit; ok = it.Next() {
		_, key, err := parseExpiryKey(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		keys = append(keys, key)
	}
	return keys, errors.Join(it.Error(), it.Close())
}
