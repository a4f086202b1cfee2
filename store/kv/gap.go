package kv

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// gap is a range of revisions that never existed here. A store that is restored
// from a copy goes on above every revision anybody may have seen of the original;
// what was asked for in between is answered as compacted, so that clients list
// again instead of missing what is different now.
type gap struct {
	// after is the last revision before the gap, before the first one behind it.
	after, before int64
}

// gapMargin is left above the newest revision that is known to have been handed
// out; unknownMargin if none is known.
const (
	gapMargin     = 1000
	unknownMargin = 1_000_000_000
)

func appendGap(b []byte, g gap) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(g.after))
	return binary.BigEndian.AppendUint64(b, uint64(g.before))
}

func parseGaps(b []byte) ([]gap, error) {
	if len(b)%16 != 0 {
		return nil, fmt.Errorf("%w: gaps of %d bytes", errRecord, len(b))
	}
	var gaps []gap
	for ; len(b) > 0; b = b[16:] {
		gaps = append(gaps, gap{
			after:  int64(binary.BigEndian.Uint64(b)),
			before: int64(binary.BigEndian.Uint64(b[8:])),
		})
	}
	return gaps, nil
}

// inGap reports whether rev is one that never existed.
func (db *DB) inGap(rev int64) bool {
	for _, g := range db.gaps {
		if g.after < rev && rev < g.before {
			return true
		}
	}
	return false
}

// leap goes on at a revision above seen, the newest that somebody may have been
// told of; 0 if that is not known. Called before anything else is written.
func (db *DB) leap(seen int64) error {
	last := db.revision.Load()
	next := max(seen, last) + gapMargin
	if seen == 0 {
		next = last + unknownMargin
	}
	var raw []byte
	for _, g := range append(db.gaps, gap{after: last, before: next}) {
		raw = appendGap(raw, g)
	}
	b := db.pebble.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(metaGaps, raw, nil); err != nil {
		return err
	}
	if err := b.Set(metaState, appendState(nil, state{revision: next, historyBytes: db.historyBytes.Load()}), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	db.gaps = append(db.gaps, gap{after: last, before: next})
	db.revision.Store(next)
	return nil
}
