package store

import (
	"sync"
	"time"
	"weak"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// Bounds of an event log: events younger than logFresh are kept while they fit
// logMaxEvents and logMaxBytes (of encoded objects; decoded they take a few
// times as much); of older ones the last logMinEvents.
const (
	logMinEvents = 256
	logMaxEvents = 1 << 16
	logMaxBytes  = 8 << 20
	logFresh     = 30 * time.Second
)

// event is one change, shared by all watches that see it.
type event struct {
	rev  int64
	time time.Time
	// cur is the object after the change, nil if it was deleted; prev the one
	// before, nil if it was created.
	cur, prev *entry
	// size is that of cur; prev is counted by the event before.
	size int

	versioner storage.Versioner
	from      *Resource
	gone      struct {
		sync.Once
		obj runtime.Object
		err error
	}
	// Encodings are shared while somebody is sending them.
	wrapped struct {
		sync.Mutex
		cur, gone weak.Pointer[cachingObject]
	}
}

func (ev *event) key() string {
	if ev.cur != nil {
		return ev.cur.key
	}
	return ev.prev.key
}

// goneObject is the previous object with the revision of the event, as a watch
// is told of an object that was deleted or no longer matches.
func (ev *event) goneObject() (runtime.Object, error) {
	ev.gone.Do(func() {
		prev := ev.from.readable(ev.prev)
		if prev.err != nil {
			ev.gone.err = prev.err
			return
		}
		ev.gone.obj = shallowCopy(prev.obj)
		ev.gone.err = ev.versioner.UpdateObject(ev.gone.obj, uint64(ev.rev))
	})
	return ev.gone.obj, ev.gone.err
}

// wrap returns obj, which is the current or the gone object of ev, in a form
// whose encoding is shared by all watches that send it at about the same time.
func (ev *event) wrap(obj runtime.Object, gone bool) runtime.Object {
	ev.wrapped.Lock()
	defer ev.wrapped.Unlock()
	slot := &ev.wrapped.cur
	if gone {
		slot = &ev.wrapped.gone
	}
	if w := slot.Value(); w != nil {
		return w
	}
	var stored *EncodedObject
	if !gone {
		stored = &EncodedObject{ev.from, ev.from.readable(ev.cur)}
	}
	w := newCachingObject(obj, stored)
	*slot = weak.Make(w)
	return w
}

// group names a set of watches that share an event log.
type group struct {
	// index is "" for a key (recursive false) or a prefix (recursive true).
	index     string
	value     string
	recursive bool
}

// eventLog is a window of recent events, oldest first. Guarded by Resource.mu,
// except that a slice taken from it stays valid: elements are never changed.
type eventLog struct {
	// first is the sequence number of events[0].
	first  uint64
	events []*event
	bytes  int
	// floor is the revision such that all later events are in the window.
	floor int64
	// changed is closed when events are appended.
	changed  chan struct{}
	watchers int
	// unread is set by append and cleared by wake.
	unread bool
}

func newEventLog(floor int64) *eventLog {
	return &eventLog{floor: floor, changed: make(chan struct{})}
}

func (l *eventLog) append(ev *event) {
	l.events = append(l.events, ev)
	l.bytes += ev.size
	l.trim(ev.time)
}

// trim drops the events that are out of bounds.
func (l *eventLog) trim(now time.Time) {
	drop := 0
	for rest := len(l.events); rest > 1 && l.crowded(rest, now.Sub(l.events[drop].time)); rest-- {
		l.bytes -= l.events[drop].size
		l.floor = l.events[drop].rev
		drop++
	}
	l.first += uint64(drop)
	l.events = l.events[drop:]
	if drop > logMinEvents {
		// Let go of the array that still holds what was dropped.
		l.events = append([]*event(nil), l.events...)
	}
}

func (l *eventLog) crowded(n int, age time.Duration) bool {
	if n > logMaxEvents || l.bytes > logMaxBytes {
		return true
	}
	return n > logMinEvents && age > logFresh
}

// next is the sequence number of the next event.
func (l *eventLog) next() uint64 { return l.first + uint64(len(l.events)) }

// since returns the events from cursor on; ok is false if some are lost.
func (l *eventLog) since(cursor uint64) (events []*event, ok bool) {
	if cursor < l.first {
		return nil, false
	}
	return l.events[cursor-l.first:], true
}

// wake rouses the watches that wait.
func (l *eventLog) wake() {
	l.unread = false
	if l.watchers > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}
