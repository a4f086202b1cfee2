package store

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/pintle-io/pintle/store/kv"
)

// phase says whether a resource follows publications.
type phase int

const (
	phaseIdle    phase = iota // nothing in memory; publications are ignored
	phaseLoading              // being read from disk; publications are kept aside
	phaseLoaded
)

// Resource is the storage.Interface of the objects below one key prefix.
type Resource struct {
	store     *Store
	cfg       ResourceConfig
	prefix    string // with a closing slash
	sealed    bool   // encrypted with the keys of the store
	versioner storage.Versioner
	transform atomic.Pointer[value.Transformer]

	// ctx is the life of the Resource, cancel ends it, and with it all watches.
	ctx    context.Context
	cancel context.CancelFunc

	loaded    atomic.Bool // phase == phaseLoaded, without the lock
	loadMu    sync.Mutex  // one load at a time; taken before mu
	countSize atomic.Bool
	remaining remaining
	series    series

	mu struct {
		sync.RWMutex
		phase   phase
		backlog []kv.Event // published while loading
		tree    *tree
		size    int64 // sum of the stored sizes
		// loadedRev is the revision at which the index was read from disk. What
		// was durable then may be published later.
		loadedRev int64
		// lastRev is the newest revision the index is known to reflect.
		lastRev int64
		// lastEvent is the revision of the last event applied.
		lastEvent int64
		// log holds the events of the whole resource, groups those of the
		// groups that somebody watches.
		log    *eventLog
		groups map[group]*eventLog
		// touched are the groups with events that nobody was woken for yet.
		touched   []*eventLog
		snapshots snapshots
		// progress is closed and replaced by RequestWatchProgress.
		progress chan struct{}
	}
}

var _ storage.Interface = (*Resource)(nil)

func newResource(s *Store, cfg ResourceConfig) *Resource {
	r := &Resource{store: s, cfg: cfg, prefix: cfg.Prefix, versioner: storage.APIObjectVersioner{}, series: newSeries(cfg.GroupResource)}
	if !strings.HasSuffix(r.prefix, "/") {
		r.prefix += "/"
	}
	if r.cfg.Transformer == nil {
		r.cfg.Transformer = s.defaultTransformer(r.prefix)
		r.sealed = s.crypt != nil && s.crypt.encrypts(r.prefix)
	}
	r.setTransformer(markCorrupt(r.cfg.Transformer))
	r.ctx, r.cancel = context.WithCancel(s.ctx)
	r.mu.progress = make(chan struct{})
	return r
}

func (r *Resource) setTransformer(t value.Transformer) {
	if t == nil {
		r.transform.Store(nil)
		return
	}
	r.transform.Store(&t)
}

func (r *Resource) transformer() value.Transformer {
	if p := r.transform.Load(); p != nil {
		return *p
	}
	return nil
}

// Stop ends the watches of this Resource and refuses further calls. The stored
// objects stay.
func (r *Resource) Stop() {
	r.cancel()
	r.store.changeRoutes(func(routes map[string][]*Resource) {
		var left []*Resource
		for _, other := range routes[r.prefix] {
			if other != r {
				left = append(left, other)
			}
		}
		if left == nil {
			delete(routes, r.prefix)
			return
		}
		routes[r.prefix] = left
	})
}

// ready makes sure that the index is in memory and still follows the store.
func (r *Resource) ready() error {
	if err := r.open(); err != nil {
		return err
	}
	if r.loaded.Load() {
		return nil
	}
	r.loadMu.Lock()
	defer r.loadMu.Unlock()
	if r.loaded.Load() {
		return nil
	}
	return r.load()
}

// load reads the objects from disk. Publications that arrive meanwhile are
// applied on top.
func (r *Resource) load() error {
	r.mu.Lock()
	r.mu.phase = phaseLoading
	r.mu.Unlock()

	began := time.Now()
	entries, rev, err := r.readAll(0)

	r.mu.Lock()
	defer r.mu.Unlock()
	backlog := r.mu.backlog
	r.mu.backlog = nil
	if err != nil {
		r.mu.phase = phaseIdle
		return err
	}
	r.mu.tree, r.mu.size = newTree(), 0
	for _, e := range entries {
		r.mu.tree.ReplaceOrInsert(e)
		r.mu.size += int64(e.head.Size)
	}
	r.mu.loadedRev, r.mu.lastRev, r.mu.lastEvent = rev, rev, rev
	r.mu.log = newEventLog(rev)
	r.mu.groups = map[group]*eventLog{}
	r.mu.snapshots = snapshots{}
	for i := range backlog {
		r.applyLocked(&backlog[i])
	}
	r.mu.phase = phaseLoaded
	r.series.loaded(len(entries), began)
	r.loaded.Store(true)
	return nil
}

// loadChunk is how many objects are handed to a decoding goroutine at a time.
const loadChunk = 256

// loadPart is a part of the objects being read.
type loadPart struct {
	raw     []kv.Entry
	entries []*entry
}

// readAll reads the objects as of rev (0: newest) in key order, decoding on all
// cores while it reads.
func (r *Resource) readAll(rev int64) ([]*entry, int64, error) {
	defer r.store.beginRead()()
	var workers sync.WaitGroup
	work := make(chan *loadPart, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for c := range work {
				c.entries = make([]*entry, len(c.raw))
				for i, e := range c.raw {
					c.entries[i] = r.decodeEntry(e.Key, e.Value, e.Head)
				}
				c.raw = nil
			}
		})
	}
	var chunks []*loadPart
	last, total := &loadPart{}, 0
	hand := func() {
		chunks = append(chunks, last)
		total += len(last.raw)
		work <- last
		last = &loadPart{}
	}
	rev, err := r.store.kv.Range(r.prefix, kv.PrefixEnd(r.prefix), rev, func(e kv.Entry) bool {
		e.Value = bytes.Clone(e.Value)
		if last.raw = append(last.raw, e); len(last.raw) == loadChunk {
			hand()
		}
		return true
	})
	hand()
	close(work)
	workers.Wait()
	if err != nil {
		return nil, 0, err
	}
	all := make([]*entry, 0, total)
	for _, c := range chunks {
		all = append(all, c.entries...)
	}
	return all, rev, nil
}

// head answers for a key from the index.
func (r *Resource) head(key string) (kv.Head, bool) {
	if !r.loaded.Load() {
		return kv.Head{}, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e, ok := r.mu.tree.Get(&entry{key: key}); ok {
		return e.head, true
	}
	return kv.Head{}, true
}

// current is the entry of key, or nil.
func (r *Resource) current(key string) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, _ := r.mu.tree.Get(&entry{key: key})
	return e
}

// revisionLocked is a revision whose every event on this resource the index
// reflects, at least the newest one acknowledged to anybody.
func (r *Resource) revisionLocked() int64 {
	return max(r.store.published.Load(), r.mu.lastRev)
}

// Versioner implements storage.Interface.
func (r *Resource) Versioner() storage.Versioner { return r.versioner }

// ReadinessCheck implements storage.Interface.
func (r *Resource) ReadinessCheck() error {
	if err := r.store.Err(); errors.Is(err, kv.ErrFailed) {
		return err
	}
	return nil
}

// CompactRevision implements storage.Interface.
func (r *Resource) CompactRevision() int64 { return r.store.kv.Compacted() }

// GetCurrentResourceVersion implements storage.Interface.
func (r *Resource) GetCurrentResourceVersion(context.Context) (uint64, error) {
	return uint64(r.store.Revision()), nil
}

// EnableResourceSizeEstimation implements storage.Interface. Sizes are known
// without asking for keys.
func (r *Resource) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	if keys == nil {
		return errors.New("KeysFunc cannot be nil")
	}
	if r.countSize.Swap(true) {
		return errors.New("resource size estimation is already enabled")
	}
	return nil
}

// Stats implements storage.Interface.
func (r *Resource) Stats(context.Context) (storage.Stats, error) {
	if err := r.ready(); err != nil {
		return storage.Stats{}, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	stats := storage.Stats{ObjectCount: int64(r.mu.tree.Len())}
	if stats.ObjectCount > 0 && r.countSize.Load() {
		stats.EstimatedAverageObjectSizeBytes = r.mu.size / stats.ObjectCount
	}
	return stats, nil
}
