package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"

	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

// Store is an open database. Safe for concurrent use.
type Store struct {
	opts Options
	dir  string
	log  *slog.Logger
	kv   *kv.DB
	// crypt is nil without Options.Encryption.
	crypt *encryption

	texts texts

	// published is the newest revision that every index reflects.
	published atomic.Int64

	// oldestPage is the revision below which lists are no longer continued.
	oldestPage atomic.Int64

	// routes maps a prefix, with its closing slash, to the resources that
	// follow it. Usually that is one; a custom resource has one per served
	// version. The map is replaced, never changed.
	routes atomic.Pointer[map[string][]*Resource]
	// routesMu is held while routes is replaced.
	routesMu sync.Mutex

	// ctx is the life of the Store, cancel ends it.
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

var reportProgress sync.Once

// Open opens or creates the store in dir and starts its background work, which
// Close ends.
func Open(dir string, opts Options) (*Store, error) {
	opts.setDefaults()
	registerMetrics()
	s := &Store{opts: opts, dir: dir, log: opts.Logger}
	s.routes.Store(&map[string][]*Resource{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if opts.FS == nil {
		if err := snapshot.Complete(dir); err != nil {
			s.cancel()
			return nil, err
		}
	}
	db, err := kv.Open(dir, kv.Options{
		FS: opts.FS, Logger: opts.Logger, Publish: s.publish, Heads: s.head,
		HistoryBytes: opts.HistoryBytes, HistoryAge: opts.HistoryAge,
		BallastBytes: opts.BallastBytes, AcceptLoss: opts.AcceptLoss,
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.kv = db
	if err := s.openEncryption(opts.Encryption); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), db.Close())
	}
	s.published.Store(db.Revision())
	reportProgress.Do(func() {
		feature.DefaultFeatureSupportChecker = progressSupport{feature.DefaultFeatureSupportChecker}
	})
	s.loops.Go(s.tidyLoop)
	if s.crypt != nil && s.crypt.keys.Rewriting() {
		s.loops.Go(s.resumeRewrite)
	}
	return s, nil
}

// progressSupport tells the API machinery that this storage answers
// RequestWatchProgress, without which it avoids consistent reads from memory.
type progressSupport struct{ feature.FeatureSupportChecker }

// Supports implements feature.FeatureSupportChecker.
func (p progressSupport) Supports(f storage.Feature) bool {
	return f == storage.RequestWatchProgress || p.FeatureSupportChecker.Supports(f)
}

// Resource returns the storage of the objects below cfg.Prefix. Several may be
// open on one prefix, for the versions of a custom resource; all see the writes
// of each other. The index is read from disk on first use.
func (s *Store) Resource(cfg ResourceConfig) (*Resource, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("resource %s: %w", cfg.GroupResource, err)
	}
	r := newResource(s, cfg)
	s.changeRoutes(func(routes map[string][]*Resource) {
		routes[r.prefix] = append(slices.Clone(routes[r.prefix]), r)
	})
	return r, nil
}

func (s *Store) changeRoutes(change func(map[string][]*Resource)) {
	s.routesMu.Lock()
	defer s.routesMu.Unlock()
	routes := maps.Clone(*s.routes.Load())
	change(routes)
	s.routes.Store(&routes)
}

// route finds the resources that follow key: those of its longest prefix.
func (s *Store) route(key string) []*Resource {
	routes := *s.routes.Load()
	for end := len(key); ; {
		slash := strings.LastIndexByte(key[:end], '/')
		if slash < 0 {
			return nil
		}
		if rs := routes[key[:slash+1]]; rs != nil {
			return rs
		}
		end = slash
	}
}

// head answers the committer's conditions from an index, if there is one.
func (s *Store) head(key string) (kv.Head, bool) {
	for _, r := range s.route(key) {
		if h, known := r.head(key); known {
			return h, true
		}
	}
	return kv.Head{}, false
}

// Revision is the newest revision that every read reflects.
func (s *Store) Revision() int64 { return s.published.Load() }

// Compact forgets history below rev; the store does so by itself, see Options.
func (s *Store) Compact(rev int64) error { return s.kv.Compact(rev) }

// Checkpoint writes a copy of the whole store to dir, which must not exist.
func (s *Store) Checkpoint(dir string) error { return s.kv.Checkpoint(dir) }

// Err is why the store refuses writes (kv.ErrFailed, kv.ErrDiskFull), or the damage
// it met (kv.ErrDamaged); nil if all is well.
func (s *Store) Err() error { return s.kv.Err() }

// Close ends all watches and closes the files.
func (s *Store) Close() error {
	s.cancel()
	s.loops.Wait()
	for _, rs := range *s.routes.Load() {
		for _, r := range rs {
			r.cancel()
		}
	}
	return s.kv.Close()
}

// publish is called by the committer with each durable batch.
func (s *Store) publish(events []kv.Event) {
	type share struct {
		to     *Resource
		events []kv.Event
	}
	var shares []share
	for i := range events {
		for _, r := range s.route(events[i].Key) {
			at := slices.IndexFunc(shares, func(sh share) bool { return sh.to == r })
			if at < 0 {
				at = len(shares)
				shares = append(shares, share{to: r})
			}
			shares[at].events = append(shares[at].events, events[i])
		}
	}
	for _, sh := range shares {
		sh.to.publish(sh.events)
	}
	s.published.Store(events[len(events)-1].Rev)
}
