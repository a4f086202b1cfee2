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
	// ErrDamaged means that stored bytes are not what was written.
	ErrDamaged = errors.New("stored data is damaged")
	// ErrUncertain means that a write may or may not happen later.
	ErrUncertain = errors.New("the outcome of the write is not known")
	// ErrReadOnly is returned by writes to a store opened for reading.
	ErrReadOnly = errors.New("store is open for reading only")
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
	// BallastBytes is the size of a file that is removed when the disk is full, so
	// that deletes and Pebble itself can go on for a while; at most a sixteenth of
	// the file system. 0 is none.
	BallastBytes int64
	// ReadOnly opens a directory that nobody writes to and changes nothing in it.
	ReadOnly bool
	// AcceptLoss opens a store although acknowledged writes are missing in it. It
	// goes on above their revisions.
	AcceptLoss bool
	// Leap, if set, makes the store go on above the revision it names, the newest
	// that anybody was told of by the store this is a copy of; 0 if unknown.
	Leap *int64
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
	disk   *diskFS
	space  *space
	guard  *guard // nil if ReadOnly
	gaps   []gap  // fixed after Open

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
		logger: newPebbleLogger(opts.Logger),
		stop:   make(chan struct{}),
	}
	db.queue.init()
	if err := db.openPebble(dir); err != nil {
		return nil, err
	}
	if err := db.recover(dir); err != nil {
		close(db.stop)
		return nil, errors.Join(fmt.Errorf("recover store %s: %w", dir, readError(err)), db.closePebble())
	}
	db.disk.release()
	if opts.ReadOnly {
		db.background.Go(db.refuseQueue)
		return db, nil
	}
	db.space.opened()
	db.background.Go(db.space.loop)
	db.background.Go(db.commitLoop)
	db.background.Go(db.compactLoop)
	return db, nil
}

func (db *DB) openPebble(dir string) error {
	fsys := db.opts.FS
	if !db.opts.ReadOnly {
		if err := fsys.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create store directory: %w", err)
		}
	}
	db.space = newSpace(fsys, dir, db.opts.BallastBytes, db.opts.Logger, db.stop)
	db.disk = &diskFS{FS: fsys, space: db.space}
	lock, err := pebble.LockDirectory(dir, fsys)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("open store %s: %w", dir, err)
		}
		return fmt.Errorf("open store %s: %w (%v)", dir, ErrLocked, err)
	}
	db.lock = lock
	if !db.opts.ReadOnly {
		if err := forgetFirstStart(fsys, dir); err != nil {
			return errors.Join(err, lock.Close())
		}
	}
	if err := db.shield(func() error {
		var err error
		db.pebble, err = pebble.Open(dir, db.pebbleOptions())
		return err
	}); err != nil {
		return errors.Join(openError(dir, err), lock.Close())
	}
	return nil
}

// openError says what a failure to open means.
func openError(dir string, err error) error {
	switch {
	case isFull(err):
		return fmt.Errorf("open store %s: %w: free some space there and start again (%v)", dir, ErrDiskFull, err)
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("open store %s: %w: there is no store in this directory", dir, fs.ErrNotExist)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open store %s: %w: files are missing, or the MANIFEST is damaged: %s", dir, ErrDamaged, firstLine(err))
	}
	return fmt.Errorf("open store %s: %w", dir, readError(err))
}

func (db *DB) pebbleOptions() *pebble.Options {
	return &pebble.Options{
		FS:                          db.disk,
		ReadOnly:                    db.opts.ReadOnly,
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

// recover reads the durable summary, or writes the first one, and compares it with
// what was acknowledged.
func (db *DB) recover(dir string) error {
	format, err := db.getMeta(metaFormat)
	if err != nil {
		return err
	}
	if format == nil && db.opts.ReadOnly {
		return errors.New("there is no store in this directory")
	}
	var acknowledged int64
	if !db.opts.ReadOnly {
		if db.guard, acknowledged, err = openGuard(db.opts.FS, dir); err != nil {
			return err
		}
	}
	if format == nil {
		if acknowledged > firstRevision && !db.opts.AcceptLoss {
			return lossError(0, acknowledged)
		}
		err = db.initialize()
	} else {
		err = db.readSummary(format)
	}
	if err != nil || db.opts.ReadOnly {
		return err
	}
	return db.checkLoss(acknowledged)
}

func (db *DB) readSummary(format []byte) error {
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
	gaps, err := db.getMeta(metaGaps)
	if err != nil {
		return err
	}
	db.gaps, err = parseGaps(gaps)
	return err
}

func lossError(found, acknowledged int64) error {
	return fmt.Errorf("%w: revisions up to %d were acknowledged, but only those up to %d are there, "+
		"so the newest log (*.log) or the MANIFEST is damaged or missing", ErrDamaged, acknowledged, found)
}

// checkLoss compares what is there with the newest acknowledged revision, and
// moves on to another one if it was asked to.
func (db *DB) checkLoss(acknowledged int64) error {
	found := db.revision.Load()
	switch {
	case db.opts.Leap != nil:
		if err := db.leap(*db.opts.Leap); err != nil {
			return err
		}
	case acknowledged > found && !db.opts.AcceptLoss:
		return lossError(found, acknowledged)
	case acknowledged > found:
		db.opts.Logger.Warn("acknowledged writes are lost", "from", found+1, "to", acknowledged)
		if err := db.leap(acknowledged); err != nil {
			return err
		}
	}
	return db.guard.reset(db.revision.Load())
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

// Err is what keeps the store from taking writes (ErrFailed, ErrDiskFull), or the
// damage that was met while reading (ErrDamaged); nil if all is well.
func (db *DB) Err() error {
	if err := db.logger.failure(); err != nil {
		return err
	}
	if db.space.full.Load() {
		return db.space.err()
	}
	return db.logger.damage()
}

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
	// What is in the log alone is written to tables, whose every block has a
	// checksum.
	var err error
	if !db.opts.ReadOnly && db.logger.failure() == nil && !db.space.full.Load() {
		err = db.shield(db.pebble.Flush)
	}
	return errors.Join(err, db.closePebble())
}

// closePebble leaves a failed Pebble alone: its goroutines ended with locks of
// their own bookkeeping held, and Close would wait for them. The directory lock
// then stays until the process ends.
func (db *DB) closePebble() error {
	var err error
	if db.guard != nil {
		err = db.guard.close()
	}
	if db.logger.failure() != nil {
		return err
	}
	return errors.Join(err, db.pebble.Close(), db.lock.Close())
}
