package kv

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	compactInterval = time.Minute
	compactChunk    = 2048
)

// Compact forgets history: afterwards reads below rev and events up to rev are
// refused. The newest version of every live key stays.
func (db *DB) Compact(rev int64) error {
	return db.shield(func() error { return db.compact(rev) })
}

func (db *DB) compact(rev int64) error {
	db.compaction.Lock()
	defer db.compaction.Unlock()
	switch {
	case rev <= db.compacted.Load():
		return ErrCompacted
	case rev > db.revision.Load():
		return ErrFutureRevision
	}
	if err := db.failedOr(db.pebble.Set(metaCompacted, binary.BigEndian.AppendUint64(nil, uint64(rev)), pebble.Sync)); err != nil {
		return err
	}
	db.compacted.Store(rev)
	return db.deleteHistory(rev)
}

func (db *DB) failedOr(err error) error {
	if failure := db.logger.failure(); failure != nil {
		return failure
	}
	return err
}

// deleteHistory removes, in chunks, every log record up to rev together with
// the version each superseded. A chunk is atomic, so what a crash leaves behind
// is found by the next compaction at the head of the log.
func (db *DB) deleteHistory(rev int64) error {
	for {
		n, err := db.deleteChunk(rev)
		if err != nil || n < compactChunk {
			return err
		}
		select {
		case <-db.stop:
			return ErrClosed
		default:
		}
	}
}

func (db *DB) deleteChunk(rev int64) (int, error) {
	b := db.pebble.NewBatch()
	defer func() { _ = b.Close() }()
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLog}, UpperBound: appendLogKey(nil, rev+1, 0)})
	if err != nil {
		return 0, err
	}
	n, freed, err := collectChunk(it, b)
	if err = errors.Join(err, it.Close()); err != nil || n == 0 {
		return 0, err
	}
	if err := db.failedOr(b.Commit(pebble.NoSync)); err != nil {
		return 0, err
	}
	db.historyBytes.Add(-freed)
	return n, nil
}

func collectChunk(it *pebble.Iterator, b *pebble.Batch) (n int, freed int64, err error) {
	var key, first, last []byte
	for ok := it.First(); ok && n < compactChunk; ok = it.Next() {
		if first == nil {
			first = append(first, it.Key()...)
		}
		last = append(last[:0], it.Key()...)
		rev, _, err := parseLogKey(it.Key())
		if err != nil {
			return 0, 0, err
		}
		rec, err := parseLogRecord(it.Value())
		if err != nil {
			return 0, 0, err
		}
		if rec.prevRev != 0 {
			key = appendVersionKey(key[:0], rec.key, rec.prevRev)
			err = b.Delete(key, nil)
		}
		if rec.deleted {
			key = appendVersionKey(key[:0], rec.key, rev)
			err = errors.Join(err, b.Delete(key, nil))
		}
		if err != nil {
			return 0, 0, err
		}
		freed += rec.historyCost()
		n++
	}
	if n == 0 {
		return 0, 0, it.Error()
	}
	return n, freed, errors.Join(it.Error(), b.DeleteRange(first, append(last, 0), nil))
}

// compactLoop keeps history within its bounds.
func (db *DB) compactLoop() {
	tick := time.NewTicker(compactInterval)
	defer tick.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-tick.C:
		}
		if err := db.CompactNow(); err != nil && !errors.Is(err, ErrCompacted) && !errors.Is(err, ErrClosed) {
			db.opts.Logger.Warn("history not compacted", "err", err)
		}
	}
}

// CompactNow applies the bounds of Options once; the store does so by itself
// every minute.
func (db *DB) CompactNow() error {
	byAge, err := db.revisionAt(db.opts.Now().Add(-db.opts.HistoryAge))
	if err != nil {
		return err
	}
	bySize, err := db.revisionToFree(db.historyBytes.Load() - db.opts.HistoryBytes)
	if err != nil {
		return err
	}
	rev := max(byAge, bySize)
	if rev <= db.compacted.Load() {
		return nil
	}
	if err := db.Compact(rev); err != nil {
		return err
	}
	db.opts.Logger.Info("compacted history", "resourceVersion", rev)
	return db.shield(func() error { return db.dropTimeMarks(db.opts.Now().Add(-db.opts.HistoryAge)) })
}

// revisionAt is the newest revision as of t, to about a second.
func (db *DB) revisionAt(t time.Time) (int64, error) {
	now := db.revision.Load()
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: appendTimeKey(nil, t.Unix()+1), UpperBound: []byte{spaceTime + 1}})
	if err != nil {
		return 0, err
	}
	rev := now
	if it.First() && len(it.Value()) == 8 {
		rev = int64(binary.BigEndian.Uint64(it.Value()))
	}
	return rev, errors.Join(it.Error(), it.Close())
}

// revisionToFree is the revision to compact to in order to free about so many
// bytes and a tenth of the bound more, or 0 if nothing needs to be freed.
func (db *DB) revisionToFree(excess int64) (int64, error) {
	if excess <= 0 {
		return 0, nil
	}
	excess += db.opts.HistoryBytes / 10
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLog}, UpperBound: []byte{spaceLog + 1}})
	if err != nil {
		return 0, err
	}
	var rev int64
	for ok := it.First(); ok && excess > 0; ok = it.Next() {
		if rev, _, err = parseLogKey(it.Key()); err != nil {
			break
		}
		rec, recErr := parseLogRecord(it.Value())
		if recErr != nil {
			err = recErr
			break
		}
		excess -= rec.historyCost()
	}
	return rev, errors.Join(err, it.Error(), it.Close())
}

func (db *DB) dropTimeMarks(before time.Time) error {
	err := db.pebble.DeleteRange([]byte{spaceTime}, appendTimeKey(nil, before.Unix()), pebble.NoSync)
	return db.failedOr(err)
}
