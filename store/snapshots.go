package store

import (
	"math"
	"slices"
	"time"

	"github.com/pintle-io/pintle/store/kv"
)

const (
	maxSnapshots    = 8
	snapshotMaxIdle = time.Minute
)

// keptState is the index as it was in [from, to].
type keptState struct {
	from, to int64
	tree     *tree
	used     time.Time
}

// snapshots keeps the states that lists go on from: those of continue tokens and
// exact revisions. Guarded by Resource.mu.
type snapshots struct{ kept []*keptState }

// sealAt ends the validity of the snapshot of the newest state, before the
// event of revision rev.
func (s *snapshots) sealAt(rev int64) {
	if n := len(s.kept); n > 0 && s.kept[n-1].to == math.MaxInt64 {
		s.kept[n-1].to = rev - 1
	}
}

func (s *snapshots) find(rev int64) *tree {
	for _, snap := range s.kept {
		if snap.from <= rev && rev <= snap.to {
			snap.used = time.Now()
			return snap.tree
		}
	}
	return nil
}

func (s *snapshots) add(from, to int64, t *tree) {
	now := time.Now()
	s.trim(now)
	if len(s.kept) >= maxSnapshots {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	snap := &keptState{from: from, to: to, tree: t, used: now}
	at := len(s.kept)
	// The newest state, if kept, stays last: sealAt looks there.
	if at > 0 && to != math.MaxInt64 && s.kept[at-1].to == math.MaxInt64 {
		at--
	}
	s.kept = slices.Insert(s.kept, at, snap)
}

// trim drops the snapshots nobody has used for a while, except the newest state,
// which costs nothing.
func (s *snapshots) trim(now time.Time) {
	s.kept = slices.DeleteFunc(s.kept, func(snap *keptState) bool {
		return now.Sub(snap.used) > snapshotMaxIdle && snap.to != math.MaxInt64
	})
}

// newestLocked is a clone of the index, shared until the next write.
func (r *Resource) newestLocked() *tree {
	if t := r.mu.snapshots.find(r.mu.lastEvent); t != nil {
		return t
	}
	t := r.mu.tree.Clone()
	r.mu.snapshots.add(r.mu.lastEvent, math.MaxInt64, t)
	return t
}

// newest returns the current state and a revision it stands for.
func (r *Resource) newest() (*tree, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newestLocked(), r.revisionLocked()
}

// stateAt returns the state at a past or present revision: kept, or rolled back
// from the recent events, or read from disk.
func (r *Resource) stateAt(rev int64) (*tree, error) {
	if rev < r.store.kv.Compacted() {
		return nil, kv.ErrCompacted
	}
	if t := r.stateInMemory(rev); t != nil {
		return t, nil
	}
	entries, _, err := r.readAll(rev)
	if err != nil {
		return nil, err
	}
	t := newTree()
	for _, e := range entries {
		t.ReplaceOrInsert(e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.snapshots.add(rev, rev, t)
	return t, nil
}

func (r *Resource) stateInMemory(rev int64) *tree {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev >= r.mu.lastEvent {
		return r.newestLocked()
	}
	if t := r.mu.snapshots.find(rev); t != nil {
		return t
	}
	if rev < r.mu.log.floor {
		return nil
	}
	return r.rollBackLocked(rev)
}

// rollBackLocked undoes the events after rev on a clone of the index.
func (r *Resource) rollBackLocked(rev int64) *tree {
	t := r.mu.tree.Clone()
	events := r.mu.log.events
	i := len(events) - 1
	for ; i >= 0 && events[i].rev > rev; i-- {
		if prev := events[i].prev; prev != nil {
			t.ReplaceOrInsert(prev)
		} else {
			t.Delete(events[i].cur)
		}
	}
	from := r.mu.log.floor
	if i >= 0 {
		from = events[i].rev
	}
	r.mu.snapshots.add(from, events[i+1].rev-1, t)
	return t
}
