package store

import "sync"

// rangeStart is where a page of a list begins: a revision, the prefix that is listed,
// and the first key.
type rangeStart struct {
	rev        int64
	key, start string
}

// maxRemaining is how many lists may be under way without counting twice.
const maxRemaining = 64

// remaining remembers how many objects follow the pages that were handed out, which
// the next page would have to count again. The oldest goes first.
type remaining struct {
	mu    sync.Mutex
	pages [maxRemaining]struct {
		at   rangeStart
		left int64
	}
	next int
}

func (m *remaining) load(at rangeStart) (left int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.pages {
		if m.pages[i].at == at {
			return m.pages[i].left, true
		}
	}
	return 0, false
}

func (m *remaining) store(at rangeStart, left int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.pages[m.next]
	p.at, p.left = at, left
	m.next = (m.next + 1) % maxRemaining
}
