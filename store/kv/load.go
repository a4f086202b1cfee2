package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Load makes a store in dir, which must not hold one, of the newest state of
// another: entries in any order, as of revision. There is no history; what the
// clients of the other store know of it expires. A crash leaves a directory that is
// to be removed. notes are kept as by SetNote.
func Load(dir string, opts Options, revision int64, entries iter.Seq2[Entry, error], notes map[string]string) error {
	db, err := Open(dir, opts)
	if err != nil {
		return err
	}
	err = db.shield(func() error { return db.load(revision, entries) })
	for name, value := range notes {
		if err == nil {
			err = db.SetNote(name, []byte(value))
		}
	}
	return errors.Join(err, db.Close())
}

func (db *DB) load(revision int64, entries iter.Seq2[Entry, error]) error {
	if db.revision.Load() != firstRevision {
		return errors.New("there is a store in this directory already")
	}
	b := db.pebble.NewBatch()
	defer func() { _ = b.Close() }()
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := loadEntry(b, revision, e); err != nil {
			return err
		}
		if b.Len() < maxBatchBytes {
			continue
		}
		if err := db.failedOr(b.Commit(pebble.NoSync)); err != nil {
			return err
		}
		b.Reset()
	}
	if err := b.Set(metaCompacted, binary.BigEndian.AppendUint64(nil, uint64(revision)), nil); err != nil {
		return err
	}
	if err := b.Set(metaState, appendState(nil, state{revision: revision}), nil); err != nil {
		return err
	}
	if err := db.failedOr(b.Commit(pebble.Sync)); err != nil {
		return err
	}
	db.revision.Store(revision)
	db.compacted.Store(revision)
	return errors.Join(db.leap(0), db.guard.reset(db.revision.Load()))
}

func loadEntry(b *pebble.Batch, revision int64, e Entry) error {
	if err := checkKey(e.Key); err != nil {
		return err
	}
	if e.Head.ModRev > revision || e.Head.CreateRev > e.Head.ModRev || e.Head.CreateRev <= 0 {
		return fmt.Errorf("key %s: revisions %d, %d do not fit a store at revision %d", e.Key, e.Head.CreateRev, e.Head.ModRev, revision)
	}
	record := appendVersion(nil, version{createRev: e.Head.CreateRev, expiry: e.Head.Expiry, value: e.Value})
	if err := b.Set(appendVersionKey(nil, e.Key, e.Head.ModRev), record, nil); err != nil {
		return err
	}
	if e.Head.Expiry == 0 {
		return nil
	}
	return b.Set(appendExpiryKey(nil, e.Head.Expiry, e.Key), nil, nil)
}
