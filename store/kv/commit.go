package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	maxBatchRequests = 4096
	maxBatchBytes    = 1 << 20
	timeMarkInterval = time.Second
)

// committer is the state of the one goroutine that assigns revisions.
type committer struct {
	db       *DB
	batch    *pebble.Batch
	overlay  map[string]Head // heads changed by the batch being built
	prevs    []Head
	events   []Event
	rev      int64
	history  int64 // bytes of history the batch adds
	lastMark time.Time
	scratch  []byte
	value    []byte
}

// commitLoop serves the queue until Close. Pebble's Fatalf may end this
// goroutine in the middle of a commit; the deferred call then answers for it.
func (db *DB) commitLoop() {
	c := &committer{db: db, overlay: map[string]Head{}, rev: db.revision.Load()}
	var inflight []*request
	defer func() {
		refuse(inflight, db.refusal())
		db.refuseQueue()
	}()
	for db.nextRequests() {
		for {
			inflight = db.queue.take(inflight[:0], maxBatchRequests)
			if len(inflight) == 0 {
				break
			}
			for rest := inflight; len(rest) > 0; {
				n := c.commit(rest)
				rest = rest[n:]
			}
			clear(inflight)
			inflight = inflight[:0]
		}
	}
}

// nextRequests waits for requests and is false at Close.
func (db *DB) nextRequests() bool {
	select {
	case <-db.stop:
		return false
	default:
	}
	select {
	case <-db.stop:
		return false
	case <-db.queue.wake:
		return true
	}
}

// refuseQueue answers all requests with an error until Close.
func (db *DB) refuseQueue() {
	for {
		refuse(db.queue.take(nil, maxBatchRequests), db.refusal())
		select {
		case <-db.stop:
			refuse(db.queue.take(nil, maxBatchRequests), db.refusal())
			return
		case <-db.queue.wake:
		}
	}
}

func (db *DB) refusal() error {
	if err := db.logger.failure(); err != nil {
		return err
	}
	return ErrClosed
}

func refuse(rs []*request, err error) {
	for i, r := range rs {
		if r != nil {
			rs[i] = nil
			r.finish(0, err)
		}
	}
}

// commit writes the first requests of rs, as many as fit one batch, and
// answers them. It returns how many.
func (c *committer) commit(rs []*request) int {
	c.reset()
	taken := 0
	for _, r := range rs {
		r.rev, r.err = c.apply(&r.txn)
		taken++
		if c.batch.Len() >= maxBatchBytes {
			break
		}
	}
	if err := c.sync(); err != nil {
		refuse(rs[:taken], err)
		return taken
	}
	for i, r := range rs[:taken] {
		rs[i] = nil
		r.done <- struct{}{}
	}
	return taken
}

func (c *committer) reset() {
	if c.batch == nil {
		c.batch = c.db.pebble.NewBatch()
	} else {
		c.batch.Reset()
	}
	clear(c.overlay)
	clear(c.events)
	c.events = c.events[:0]
	c.history = 0
	c.rev = c.db.revision.Load()
}

// apply checks one transaction and adds it to the batch.
func (c *committer) apply(txn *Txn) (int64, error) {
	for _, cond := range txn.Conds {
		head, err := c.head(cond.Key)
		if err != nil {
			return 0, err
		}
		if !cond.holds(head) {
			return 0, &ConflictError{Key: cond.Key, Head: head}
		}
	}
	c.prevs = c.prevs[:0]
	for i := range txn.Ops {
		prev, err := c.head(txn.Ops[i].Key)
		if err != nil {
			return 0, err
		}
		c.prevs = append(c.prevs, prev)
	}
	sub := 0
	for i := range txn.Ops {
		if txn.Ops[i].Delete && c.prevs[i].ModRev == 0 {
			continue
		}
		if err := c.put(c.rev+1, sub, &txn.Ops[i], c.prevs[i]); err != nil {
			return 0, err
		}
		sub++
	}
	if sub > 0 {
		c.rev++
	}
	return c.rev, nil
}

// put adds one operation to the batch.
func (c *committer) put(rev int64, sub int, op *Op, prev Head) error {
	var next Head
	if !op.Delete {
		next = Head{ModRev: rev, CreateRev: prev.CreateRev, Expiry: op.Expiry, Size: len(op.Value)}
		if prev.ModRev == 0 {
			next.CreateRev = rev
		}
	}
	if err := c.write(rev, sub, op, prev, next); err != nil {
		return err
	}
	c.overlay[op.Key] = next
	event := Event{Rev: rev, Sub: sub, Key: op.Key, Deleted: op.Delete, Value: op.Value, Head: next, Prev: prev, Attachment: op.Attachment}
	event.Head.ModRev = rev
	c.events = append(c.events, event)
	return nil
}

func (c *committer) write(rev int64, sub int, op *Op, prev, next Head) error {
	c.scratch = appendVersionKey(c.scratch[:0], op.Key, rev)
	c.value = appendVersion(c.value[:0], version{
		tombstone: op.Delete, createRev: next.CreateRev, expiry: op.Expiry, value: op.Value,
	})
	if err := c.batch.Set(c.scratch, c.value, nil); err != nil {
		return err
	}
	record := logRecord{deleted: op.Delete, prevRev: prev.ModRev, prevSize: int64(prev.Size), key: op.Key}
	c.history += record.historyCost()
	c.scratch = appendLogKey(c.scratch[:0], rev, sub)
	c.value = appendLogRecord(c.value[:0], record)
	if err := c.batch.Set(c.scratch, c.value, nil); err != nil {
		return err
	}
	if prev.Expiry != 0 && prev.Expiry != next.Expiry {
		c.scratch = appendExpiryKey(c.scratch[:0], prev.Expiry, op.Key)
		if err := c.batch.Delete(c.scratch, nil); err != nil {
			return err
		}
	}
	if next.Expiry != 0 && prev.Expiry != next.Expiry {
		c.scratch = appendExpiryKey(c.scratch[:0], next.Expiry, op.Key)
		return c.batch.Set(c.scratch, nil, nil)
	}
	return nil
}

// head resolves a key: changed in this batch, followed in memory, or on disk.
func (c *committer) head(key string) (Head, error) {
	if h, ok := c.overlay[key]; ok {
		return h, nil
	}
	if c.db.opts.Heads != nil {
		if h, known := c.db.opts.Heads(key); known {
			return h, nil
		}
	}
	return c.db.head(key)
}

// sync makes the batch durable and publishes it.
func (c *committer) sync() error {
	if err := c.db.logger.failure(); err != nil || len(c.events) == 0 {
		return err
	}
	if err := c.finishBatch(); err != nil {
		return err
	}
	if err := c.batch.Commit(pebble.Sync); err != nil {
		c.db.logger.fail(fmt.Errorf("%w: %w", ErrFailed, err))
	}
	if err := c.db.logger.failure(); err != nil {
		return err
	}
	if err := c.db.guard.set(c.rev); err != nil {
		c.db.opts.Logger.Warn("newest revision not noted", "err", err)
	}
	c.db.historyBytes.Add(c.history)
	c.db.revision.Store(c.rev)
	c.db.opts.Publish(c.events)
	return nil
}

func (c *committer) finishBatch() error {
	now := c.db.opts.Now()
	if now.Sub(c.lastMark) >= timeMarkInterval {
		c.lastMark = now
		c.scratch = appendTimeKey(c.scratch[:0], now.Unix())
		if err := c.batch.Set(c.scratch, binary.BigEndian.AppendUint64(nil, uint64(c.db.revision.Load())), nil); err != nil {
			return err
		}
	}
	st := state{revision: c.rev, historyBytes: c.db.historyBytes.Load() + c.history}
	return c.batch.Set(metaState, appendState(nil, st), nil)
}

// head reads the newest version of key from disk.
func (db *DB) head(key string) (Head, error) {
	bound := appendVersionBound(nil, key)
	it, err := db.pebble.NewIter(&pebble.IterOptions{
		LowerBound: append(bound, 0),
		UpperBound: appendVersionEnd(nil, []byte(key)),
	})
	if err != nil {
		return Head{}, err
	}
	h, err := firstHead(it)
	return h, errors.Join(err, it.Close())
}

func firstHead(it *pebble.Iterator) (Head, error) {
	if !it.First() {
		return Head{}, it.Error()
	}
	_, rev, err := parseVersionKey(it.Key())
	if err != nil {
		return Head{}, err
	}
	v, err := parseVersion(it.Value())
	if err != nil || v.tombstone {
		return Head{}, err
	}
	return Head{ModRev: rev, CreateRev: v.createRev, Expiry: v.expiry, Size: len(v.value)}, nil
}
