package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Errors a caller may test for with errors.Is.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store is closed")
	// ErrFailed means that a write to disk failed; reads go on, writes are
	// refused until the store is opened again.
	ErrFailed = errors.New("store failed")
	// ErrLocked means that another process has the directory open.
	ErrLocked = errors.New("store directory is in use by another process")
	// ErrCompacted means that the revision asked for is no longer kept.
	ErrCompacted = errors.New("revision has been compacted")
	// ErrFutureRevision means that the revision asked for does not exist yet.
	ErrFutureRevision = errors.New("revision is in the future")
)

const (
	formatVersion = 1
	// firstRevision is that of an empty store. Kubernetes gives 0 a meaning of
	// its own.
	firstRevision = 1
)

// Options configure a DB. The zero value is usable.
type Options struct {
	FS     vfs.FS
	Logger *slog.Logger
	// Publish is called by the committer with the events of each batch, in
	// order, after they are durable and before they are acknowledged. It must
	// not wait for a write.
	Publish func([]Event)
	// Heads, if set, answers for the newest version of a key from memory; known
	// is false for keys it does not follow. It is called by the committer
	// between publications and must reflect every event published so far.
	Heads func(key string) (head Head, known bool)
	// CacheBytes and MemTableBytes size Pebble (default 8 MiB each).
	CacheBytes    int64
	MemTableBytes uint64
	// HistoryBytes and HistoryAge bound the history (default 1 GiB, 24 hours).
	HistoryBytes int64
	HistoryAge   time.Duration
	// Now is the clock, for tests.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Publish == nil {
		o.Publish = func([]Event) {}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 8 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 8 << 20
	}
	if o.HistoryBytes == 0 {
		o.HistoryBytes = 1 << 30
	}
	if o.HistoryAge == 0 {
		o.HistoryAge = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// DB is an open store. Open starts its committer and its compactor; Close ends
// them.
type DB struct {
	opts   Options
	pebble *pebble.DB
	lock   *pebble.Lock
	logger *pebbleLogger

	revision     atomic.Int64 // durable
	compacted    atomic.Int64
	historyBytes atomic.Int64

	queue      queue
	compaction sync.Mutex // one compaction at a time
	stop       chan struct{}
	background sync.WaitGroup
}

// Open opens the store in dir, creating it if need be.
func Open(dir string, opts Options) (*DB, error) {
	opts.setDefaults()
	db := &DB{
		opts:   opts,
		logger: &pebbleLogger{log: opts.Logger},
		stop:   make(chan struct{}),
	}
	db.queue.init()
	if err := db.openPebble(dir); err != nil {
		return nil, err
	}
	if err := db.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("recover store %s: %w", dir, err), db.closePebble())
	}
	db.background.Go(db.commitLoop)
	db.background.Go(db.compactLoop)
	return db, nil
}

func (db *DB) openPebble(dir string) error {
	fsys := db.opts.FS
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create store directory: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, fsys)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("open store %s: %w", dir, err)
		}
		return fmt.Errorf("open store %s: %w (%v)", dir, ErrLocked, err)
	}
	db.lock = lock
	db.pebble, err = pebble.Open(dir, db.pebbleOptions())
	if err != nil {
		return errors.Join(fmt.Errorf("open store %s: %w", dir, err), lock.Close())
	}
	return nil
}

func (db *DB) pebbleOptions() *pebble.Options {
	return &pebble.Options{
		FS:                          db.opts.FS,
		Lock:                        db.lock,
		Logger:                      db.logger,
		EventListener:               db.logger.listener(),
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		CacheSize:                   db.opts.CacheBytes,
		MemTableSize:                db.opts.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		// Fewer, larger compactions: a third less CPU for a burst of writes.
		L0CompactionThreshold:      8,
		LBaseMaxBytes:              128 << 20,
		L0StopWritesThreshold:      64,
		MaxOpenFiles:               256,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 2 },
	}
}

// recover reads the durable summary, or writes the first one.
func (db *DB) recover() error {
	format, err := db.getMeta(metaFormat)
	if err != nil {
		return err
	}
	if format == nil {
		return db.initialize()
	}
	if len(format) != 1 || format[0] != formatVersion {
		return fmt.Errorf("format %v is not known to this version; it reads format %d", format, formatVersion)
	}
	raw, err := db.getMeta(metaState)
	if err != nil {
		return err
	}
	st, err := parseState(raw)
	if err != nil {
		return err
	}
	db.revision.Store(st.revision)
	db.historyBytes.Store(st.historyBytes)
	floor, err := db.getMeta(metaCompacted)
	if err != nil {
		return err
	}
	if len(floor) == 8 {
		db.compacted.Store(int64(binary.BigEndian.Uint64(floor)))
	}
	return nil
}

func (db *DB) initialize() error {
	db.revision.Store(firstRevision)
	b := db.pebble.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(metaFormat, []byte{formatVersion}, nil); err != nil {
		return err
	}
	if err := b.Set(metaState, appendState(nil, state{revision: firstRevision}), nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

func (db *DB) getMeta(key []byte) ([]byte, error) {
	v, closer, err := db.pebble.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, v...)
	return out, closer.Close()
}

// Revision is the newest durable revision.
func (db *DB) Revision() int64 { return db.revision.Load() }

// Compacted is the compacted revision: reads below it and events up to it are
// gone.
func (db *DB) Compacted() int64 { return db.compacted.Load() }

// HistoryBytes estimates what superseded versions and the log occupy.
func (db *DB) HistoryBytes() int64 { return db.historyBytes.Load() }

// Err is the failure that stopped writes, or nil.
func (db *DB) Err() error { return db.logger.failure() }

// Checkpoint writes a copy of the store as of some moment during the call to
// dir, which must not exist, by hard links where the file system has them. The
// copy is a store of its own.
func (db *DB) Checkpoint(dir string) error {
	err := db.shield(func() error { return db.pebble.Checkpoint(dir, pebble.WithFlushedWAL()) })
	if err != nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, err)
	}
	return nil
}

// Close waits for the batch being written and closes the files. Requests that
// are waiting are refused.
func (db *DB) Close() error {
	if !db.queue.close() {
		return ErrClosed
	}
	close(db.stop)
	db.background.Wait()
	return db.closePebble()
}

// closePebble leaves a failed Pebble alone: its goroutines ended with locks of
// their own bookkeeping held, and Close would wait for them. The directory lock
// then stays until the process ends.
func (db *DB) closePebble() error {
	if db.logger.failure() != nil {
		return nil
	}
	return errors.Join(db.pebble.Close(), db.lock.Close())
}
