package decision

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Sink keeps records beyond the life of the process.
type Sink interface {
	// Append keeps the records, in order.
	Append(ctx context.Context, records []Record) error
	// Load returns the newest records that are still kept, at most limit, oldest
	// first.
	Load(ctx context.Context, limit int) ([]Record, error)
}

// Config of a Log. The zero value keeps 50,000 records in memory only.
type Config struct {
	// Size is how many records are kept in memory.
	Size   int
	Sink   Sink
	Logger *slog.Logger
}

const (
	defaultSize = 50_000
	// flushEvery is how long a record may wait for the sink.
	flushEvery = 500 * time.Millisecond
	// backlog is how many records may wait; beyond it the oldest are dropped,
	// since whoever decides must not wait for a disk.
	backlog = 20_000
)

type objectKey struct{ kind, namespace, name string }

// Log is the bounded log. Create it with New; Run keeps it in its sink.
type Log struct {
	config Config
	mu     struct {
		sync.Mutex
		ring     []Record // ring[sequence % size]
		next     uint64   // sequence of the next record
		byObject map[objectKey][]uint64
		waiting  []Record // for the sink
		dropped  int
	}
}

// New returns an empty log.
func New(c Config) *Log {
	if c.Size <= 0 {
		c.Size = defaultSize
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{config: c}
	l.mu.byObject = map[objectKey][]uint64{}
	return l
}

// Add records decisions. Sequence and Repeats are set here.
func (l *Log) Add(records ...Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.add(r, true)
	}
}

func (l *Log) add(r Record, keep bool) {
	key := objectKey{r.Object.Kind, r.Object.Namespace, r.Object.Name}
	of := l.mu.byObject[key]
	if len(of) > 0 {
		if last := l.at(of[len(of)-1]); keep && r.same(last) {
			last.Time, last.Repeats = r.Time, last.Repeats+1
			return
		}
	}
	r.Sequence = l.mu.next
	if len(l.mu.ring) < l.config.Size {
		l.mu.ring = append(l.mu.ring, r)
	} else {
		old := l.at(l.mu.next)
		l.forget(objectKey{old.Object.Kind, old.Object.Namespace, old.Object.Name}, old.Sequence)
		*old = r
	}
	l.mu.next++
	l.mu.byObject[key] = append(l.mu.byObject[key], r.Sequence)
	if keep && l.config.Sink != nil {
		if len(l.mu.waiting) >= backlog {
			l.mu.waiting = slices.Delete(l.mu.waiting, 0, backlog/10)
			l.mu.dropped += backlog / 10
		}
		l.mu.waiting = append(l.mu.waiting, r)
	}
}

func (l *Log) at(sequence uint64) *Record { return &l.mu.ring[sequence%uint64(l.config.Size)] }

// forget takes the oldest record of an object out of its index.
func (l *Log) forget(key objectKey, sequence uint64) {
	of := l.mu.byObject[key]
	if i := slices.Index(of, sequence); i >= 0 {
		of = slices.Delete(of, i, i+1)
	}
	if len(of) == 0 {
		delete(l.mu.byObject, key)
	} else {
		l.mu.byObject[key] = of
	}
}

// For returns the records about an object, the newest first. An empty name
// selects all objects of that kind in the namespace; an empty kind every kind; an
// empty namespace every namespace.
func (l *Log) For(o Object, limit int) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Record
	if o.Kind != "" && o.Name != "" && (o.Namespace != "" || clusterScoped(o.Kind)) {
		of := l.mu.byObject[objectKey{o.Kind, o.Namespace, o.Name}]
		for _, sequence := range slices.Backward(of) {
			if len(out) == limit {
				break
			}
			out = append(out, *l.at(sequence))
		}
		return out
	}
	for i := range uint64(len(l.mu.ring)) {
		r := l.at(l.mu.next - 1 - i)
		if (o.Kind == "" || o.Kind == r.Object.Kind) && (o.Name == "" || o.Name == r.Object.Name) &&
			(o.Namespace == "" || o.Namespace == r.Object.Namespace) {
			if out = append(out, *r); len(out) == limit {
				break
			}
		}
	}
	return out
}

func clusterScoped(kind string) bool { return kind == "node" || kind == "strategy" }

// Run loads what the sink has and hands it new records until ctx ends; then it
// flushes once more.
func (l *Log) Run(ctx context.Context) error {
	if l.config.Sink == nil {
		<-ctx.Done()
		return nil
	}
	if err := l.load(ctx); err != nil {
		l.config.Logger.Warn("earlier decisions are not available", "err", err)
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			l.flush(last)
			return nil
		case <-tick.C:
			l.flush(ctx)
		}
	}
}

// load puts the kept records before those added so far.
func (l *Log) load(ctx context.Context) error {
	old, err := l.config.Sink.Load(ctx, l.config.Size)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := l.mu.ring
	l.mu.ring, l.mu.next = nil, 0
	clear(l.mu.byObject)
	for _, r := range append(old, recent...) {
		l.add(r, false)
	}
	return nil
}

func (l *Log) flush(ctx context.Context) {
	l.mu.Lock()
	records, dropped := l.mu.waiting, l.mu.dropped
	l.mu.waiting, l.mu.dropped = nil, 0
	l.mu.Unlock()
	if dropped > 0 {
		l.config.Logger.Warn("decision records were dropped: the sink is too slow", "count", dropped)
	}
	if len(records) == 0 {
		return
	}
	if err := l.config.Sink.Append(ctx, records); err != nil {
		l.config.Logger.Warn("decision records were not kept", "count", len(records), "err", err)
	}
}
