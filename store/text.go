package store

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxTextBytes bounds the JSON that is kept of objects; it is made anew when
	// asked for again.
	maxTextBytes = 32 << 20
	// textIdle is how long nobody may have asked for any of it before it goes.
	textIdle = time.Minute
)

// texts keeps the JSON of objects that were read as such. The oldest goes first. It
// holds no objects, so that replaced ones are not kept alive.
type texts struct {
	used atomic.Int64 // nanoseconds since 1970

	mu struct {
		sync.Mutex
		kept  []*text // oldest first
		bytes int
	}
}

// text is the JSON of one revision of one object, with kind and a closing newline;
// nil if it is not kept.
type text struct{ raw atomic.Pointer[[]byte] }

func (t *texts) load(of *text) []byte {
	if raw := of.raw.Load(); raw != nil {
		return *raw
	}
	return nil
}

// touch notes that somebody reads.
func (t *texts) touch() { t.used.Store(time.Now().UnixNano()) }

// keep takes raw, which must not change any more.
func (t *texts) keep(of *text, raw []byte) {
	if len(raw) > maxTextBytes/16 || !of.raw.CompareAndSwap(nil, &raw) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.kept = append(t.mu.kept, of)
	t.mu.bytes += len(raw)
	drop := 0
	for ; t.mu.bytes > maxTextBytes; drop++ {
		t.mu.bytes -= len(*t.mu.kept[drop].raw.Swap(nil))
		t.mu.kept[drop] = nil
	}
	t.mu.kept = t.mu.kept[drop:]
}

// trim lets go of everything if nobody reads it.
func (t *texts) trim(now time.Time) {
	if now.UnixNano()-t.used.Load() < int64(textIdle) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, of := range t.mu.kept {
		of.raw.Store(nil)
	}
	t.mu.kept, t.mu.bytes = nil, 0
}
