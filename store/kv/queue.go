package kv

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Conditions on the mod revision of a key, besides an exact one.
const (
	// Absent demands that the key does not exist.
	Absent int64 = 0
	// Present demands that it exists, at any revision.
	Present int64 = -1
)

// Cond is a condition on one key: Absent, Present, or its exact mod revision.
type Cond struct {
	Key    string
	ModRev int64
}

func (c Cond) holds(h Head) bool {
	if c.ModRev == Present {
		return h.ModRev != 0
	}
	return h.ModRev == c.ModRev
}

// Op writes or deletes one key. Deleting an absent key does nothing.
type Op struct {
	Key    string
	Value  []byte
	Delete bool
	// Expiry in seconds since 1970, 0 for never. The store does not act on it;
	// see Expired.
	Expiry int64
	// Attachment travels to the Event.
	Attachment any
}

// Txn is a set of operations that happen at one revision, if all conditions
// hold, or not at all. No two operations may have the same key.
type Txn struct {
	Conds []Cond
	Ops   []Op
	// Urgent writes make room, directly or by what they lead to: they go on for a
	// while when the disk is full.
	Urgent bool
}

// Event is one operation that happened.
type Event struct {
	Rev int64
	// Sub orders the events of one revision.
	Sub     int
	Key     string
	Deleted bool
	// Value is the new value; nil if deleted.
	Value []byte
	// Head describes the new version; of a deletion only ModRev is set.
	Head Head
	// Prev is what was replaced or deleted; zero if the key was absent.
	Prev Head
	// Attachment is that of the Op.
	Attachment any
}

// ConflictError says which condition failed, and the truth.
type ConflictError struct {
	Key  string
	Head Head
}

func (e *ConflictError) Error() string {
	if e.Head.ModRev == 0 {
		return "key " + e.Key + " does not exist"
	}
	return "key " + e.Key + " has another revision"
}

const (
	requestQueued int32 = iota
	requestTaken
	requestWithdrawn
)

type request struct {
	txn   Txn
	state atomic.Int32
	rev   int64
	err   error
	done  chan struct{}
}

var requestPool = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// queue holds the requests that wait for the committer.
type queue struct {
	wake chan struct{}
	mu   struct {
		sync.Mutex
		pending []*request
		closed  bool
	}
}

func (q *queue) init() { q.wake = make(chan struct{}, 1) }

func (q *queue) push(r *request) error {
	q.mu.Lock()
	if q.mu.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	q.mu.pending = append(q.mu.pending, r)
	q.mu.Unlock()
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves up to limit waiting requests to buf.
func (q *queue) take(buf []*request, limit int) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.mu.pending), limit)
	for _, r := range q.mu.pending[:n] {
		if r.state.CompareAndSwap(requestQueued, requestTaken) {
			buf = append(buf, r)
		}
	}
	rest := copy(q.mu.pending, q.mu.pending[n:])
	clear(q.mu.pending[rest:])
	q.mu.pending = q.mu.pending[:rest]
	if rest > 0 {
		q.signal()
	}
	return buf
}

// close reports whether this call closed the queue.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.mu.closed
	q.mu.closed = true
	return !was
}

func (r *request) finish(rev int64, err error) {
	r.rev, r.err = rev, err
	r.done <- struct{}{}
}

// Write submits txn and waits until it is durable and published. It returns the
// revision of the write; without effective operations, the newest revision. A
// failed condition is a *ConflictError. If ctx ends first, the write did not
// happen, unless it was being written: then Write waits for the outcome. Only
// when the disk has no room at all, the outcome is left open: ErrUncertain.
func (db *DB) Write(ctx context.Context, txn Txn) (int64, error) {
	if err := validate(txn); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := db.space.refuse(txn.Urgent); err != nil {
		return 0, err
	}
	r := requestPool.Get().(*request)
	r.txn = txn
	r.state.Store(requestQueued)
	if err := db.queue.push(r); err != nil {
		return 0, err
	}
	stuck := db.space.stuck()
	select {
	case <-r.done:
	case <-stuck:
		return 0, db.abandon(r)
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestQueued, requestWithdrawn) {
			return 0, ctx.Err()
		}
		select {
		case <-r.done:
		case <-stuck:
			return 0, db.abandon(r)
		}
	}
	rev, err := r.rev, r.err
	r.txn, r.err = Txn{}, nil
	requestPool.Put(r)
	return rev, err
}

// abandon leaves a request to the committer, which waits for room on the disk.
func (db *DB) abandon(r *request) error {
	if r.state.CompareAndSwap(requestQueued, requestWithdrawn) {
		return db.space.err()
	}
	return fmt.Errorf("%w: %w", ErrUncertain, db.space.err())
}

func validate(txn Txn) error {
	for i := range txn.Conds {
		if err := checkKey(txn.Conds[i].Key); err != nil {
			return err
		}
	}
	for i := range txn.Ops {
		if err := checkKey(txn.Ops[i].Key); err != nil {
			return err
		}
		for j := range i {
			if txn.Ops[i].Key == txn.Ops[j].Key {
				return &duplicateKeyError{txn.Ops[i].Key}
			}
		}
	}
	return nil
}

type duplicateKeyError struct{ key string }

func (e *duplicateKeyError) Error() string {
	return "key " + e.key + " is written twice in one request"
}
