package store

import (
	"strings"
	"time"

	"github.com/pintle-io/pintle/store/kv"
)

// attachment is what a writer sends along with its bytes: the decoded object, so
// that publication does not decode. It belongs to the Resource that wrote.
type attachment struct {
	from  *Resource
	entry *entry
	// stamped means that entry says at which revision it was written.
	stamped bool
}

// publish applies the events of one batch, on the committer's goroutine.
func (r *Resource) publish(events []kv.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.phase != phaseLoaded {
		for i := range events {
			r.stamp(&events[i])
		}
	}
	switch r.mu.phase {
	case phaseIdle:
		return
	case phaseLoading:
		r.mu.backlog = append(r.mu.backlog, events...)
		return
	}
	for i := range events {
		r.applyLocked(&events[i])
	}
	r.series.published(len(events), r.mu.lastEvent)
	r.mu.log.wake()
	for i, l := range r.mu.touched {
		l.wake()
		r.mu.touched[i] = nil
	}
	r.mu.touched = r.mu.touched[:0]
}

// applyLocked changes the index and appends to the logs, unless the index was read
// from disk with the event in it.
func (r *Resource) applyLocked(e *kv.Event) {
	if e.Rev <= r.mu.loadedRev {
		r.stamp(e)
		return
	}
	ev := &event{rev: e.Rev, time: time.Now(), versioner: r.versioner, from: r}
	if e.Deleted {
		prev, found := r.mu.tree.Delete(&entry{key: e.Key})
		if !found {
			return
		}
		ev.prev = prev
	} else {
		ev.cur = r.publishedEntry(e)
		ev.prev, _ = r.mu.tree.ReplaceOrInsert(ev.cur)
		ev.size = ev.cur.head.Size
		r.mu.size += int64(ev.cur.head.Size)
	}
	if ev.prev != nil {
		r.mu.size -= int64(ev.prev.head.Size)
	}
	r.mu.snapshots.sealAt(e.Rev)
	r.mu.lastRev, r.mu.lastEvent = e.Rev, e.Rev
	r.mu.log.append(ev)
	r.appendToGroupsLocked(ev)
}

// trim lets go of events and snapshots that have become old, which otherwise only
// happens when something is written.
func (r *Resource) trim(now time.Time) {
	if !r.loaded.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.snapshots.trim(now)
	r.mu.log.trim(now)
	for _, l := range r.mu.groups {
		l.trim(now)
	}
}

// publishedEntry is the entry of a put: the writer's, or one decoded here if the
// writer was the Resource of another version.
func (r *Resource) publishedEntry(e *kv.Event) *entry {
	if mine := r.stamp(e); mine != nil {
		return mine
	}
	return r.decodeEntry(e.Key, e.Value, e.Head)
}

// stamp tells the entry that a writer of this Resource sent along at which revision
// it was written, and returns it.
func (r *Resource) stamp(e *kv.Event) *entry {
	a, ok := e.Attachment.(*attachment)
	if !ok || a.from != r {
		return nil
	}
	if !a.stamped {
		a.stamped = true
		a.entry.head = e.Head
		if a.entry.err == nil {
			a.entry.err = r.versioner.UpdateObject(a.entry.obj, uint64(e.Rev))
		}
	}
	return a.entry
}

// appendToGroupsLocked appends to the log of every group that the event may
// concern: its key, its prefixes, and its index values before and after.
func (r *Resource) appendToGroupsLocked(ev *event) {
	if len(r.mu.groups) == 0 {
		return
	}
	key := ev.key()
	r.appendToGroupLocked(group{value: key}, ev)
	for end := len(r.prefix); end < len(key); {
		slash := strings.IndexByte(key[end:], '/')
		if slash < 0 {
			break
		}
		end += slash + 1
		r.appendToGroupLocked(group{value: key[:end], recursive: true}, ev)
	}
	for name, index := range r.cfg.Indexers {
		var before string
		if ev.prev != nil && ev.prev.obj != nil {
			before = index(ev.prev.obj)
			r.appendToGroupLocked(group{index: name, value: before}, ev)
		}
		if ev.cur != nil && ev.cur.obj != nil {
			after := index(ev.cur.obj)
			if ev.prev == nil || ev.prev.obj == nil || after != before {
				r.appendToGroupLocked(group{index: name, value: after}, ev)
			}
		}
	}
}

func (r *Resource) appendToGroupLocked(g group, ev *event) {
	l := r.mu.groups[g]
	if l == nil {
		return
	}
	l.append(ev)
	if !l.unread {
		l.unread = true
		r.mu.touched = append(r.mu.touched, l)
	}
}
