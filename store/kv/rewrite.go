package kv

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// rewriteChunk is how many versions are read under the compaction's lock.
const rewriteChunk = 512

// Rewrite replaces the stored form of values, of all retained versions of all keys,
// without making revisions: fn gets a version and returns what to store instead, or
// nil to leave it. What the values mean must not change. It returns how many were
// replaced, also with an error; a call after a crash finds those replaced already.
// At the end, the old forms are removed from the disk.
//
// Versions written meanwhile may or may not be visited.
func (db *DB) Rewrite(ctx context.Context, fn func(key string, rev int64, value []byte) ([]byte, error)) (int, error) {
	var total atomic.Int64
	for from := []byte{spaceVersions}; from != nil; {
		if err := ctx.Err(); err != nil {
			return int(total.Load()), err
		}
		var next []byte
		if err := db.shield(func() error {
			n, rest, err := db.rewriteFrom(from, fn)
			total.Add(int64(n))
			next = rest
			return err
		}); err != nil {
			return int(total.Load()), err
		}
		from = next
	}
	if total.Load() == 0 {
		return 0, nil
	}
	return int(total.Load()), db.shield(func() error {
		return db.failedOr(db.pebble.Compact(ctx, []byte{spaceVersions}, []byte{spaceVersions + 1}, false))
	})
}

// rewriteFrom handles one chunk and returns where the next begins, nil at the end.
// History is not compacted meanwhile: else a version that is being removed could be
// written again.
func (db *DB) rewriteFrom(from []byte, fn func(string, int64, []byte) ([]byte, error)) (n int, next []byte, err error) {
	if db.opts.ReadOnly {
		return 0, nil, ErrReadOnly
	}
	db.compaction.Lock()
	defer db.compaction.Unlock()
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{spaceVersions + 1}})
	if err != nil {
		return 0, nil, err
	}
	b := db.pebble.NewBatch()
	defer func() { _ = b.Close() }()
	n, next, err = collectRewrites(it, b, fn)
	if err = errors.Join(err, it.Close()); err != nil || n == 0 {
		return 0, next, err
	}
	return n, next, db.failedOr(b.Commit(pebble.Sync))
}

func collectRewrites(it *pebble.Iterator, b *pebble.Batch, fn func(string, int64, []byte) ([]byte, error)) (n int, next []byte, err error) {
	ok := it.First()
	for seen := 0; ok && seen < rewriteChunk; ok, seen = it.Next(), seen+1 {
		key, rev, err := parseVersionKey(it.Key())
		if err != nil {
			return 0, nil, err
		}
		v, err := parseVersion(it.Value())
		if err != nil {
			return 0, nil, err
		}
		if v.tombstone {
			continue
		}
		value, err := fn(string(key), rev, v.value)
		if err != nil {
			return 0, nil, err
		}
		if value == nil {
			continue
		}
		v.value = value
		if err := b.Set(it.Key(), appendVersion(nil, v), nil); err != nil {
			return 0, nil, err
		}
		n++
	}
	if ok {
		next = append(next, it.Key()...)
	}
	return n, next, it.Error()
}
