package kv

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxDamages bounds what a Report lists.
const maxDamages = 1000

// Damage is one thing that is wrong with a store.
type Damage struct {
	// File is a table whose bytes are not what was written, or empty.
	File string `json:"file,omitempty"`
	// Key is the key concerned, or the last one before a range that cannot be read;
	// then To is the first one behind.
	Key string `json:"key,omitempty"`
	To  string `json:"to,omitempty"`
	// Revision of the version concerned, 0 if that is no version.
	Revision int64  `json:"revision,omitempty"`
	Problem  string `json:"problem"`
}

func (d Damage) String() string {
	switch {
	case d.File != "":
		return d.File + ": " + d.Problem
	case d.To != "":
		return fmt.Sprintf("keys after %s, before %s: %s", d.Key, d.To, d.Problem)
	case d.Key != "" && d.Revision != 0:
		return fmt.Sprintf("%s at revision %d: %s", d.Key, d.Revision, d.Problem)
	case d.Key != "":
		return d.Key + ": " + d.Problem
	}
	return d.Problem
}

// Report is what Verify found.
type Report struct {
	// Revision and Compacted bound the history that is there.
	Revision  int64 `json:"revision"`
	Compacted int64 `json:"compacted"`
	// What was read: tables, live keys, versions, events, and bytes of values.
	Tables   int   `json:"tables"`
	Keys     int   `json:"keys"`
	Versions int   `json:"versions"`
	Events   int   `json:"events"`
	Bytes    int64 `json:"bytes"`

	Damages []Damage `json:"damages,omitempty"`
	// More is how many damages are not listed.
	More int           `json:"more,omitempty"`
	Took time.Duration `json:"took"`
}

func (r *Report) add(d Damage) {
	if len(r.Damages) >= maxDamages {
		r.More++
		return
	}
	r.Damages = append(r.Damages, d)
}

// Verify reads everything in a directory that nobody writes to: every block of
// every table against its checksum, every version against its event and the other
// way round, and every value by check, which may be nil. An error means that it
// could not be opened at all.
func Verify(ctx context.Context, dir string, opts Options, check func(key string, rev int64, value []byte) error) (*Report, error) {
	started := time.Now()
	opts.ReadOnly, opts.Logger = true, nil
	db, err := Open(dir, opts)
	if err != nil {
		return nil, err
	}
	v := &verifier{
		ctx: ctx, db: db, check: check, seed: maphash.MakeSeed(),
		report:  &Report{Revision: db.Revision(), Compacted: db.Compacted()},
		written: map[uint64]bool{}, needed: map[uint64]bool{}, expiring: map[uint64]bool{},
	}
	err = v.run(dir)
	v.report.Took = time.Since(started)
	return v.report, errors.Join(err, db.Close())
}

// verifier compares versions and events by the hashes of their keys, so that a
// store larger than memory can be verified.
type verifier struct {
	ctx    context.Context
	db     *DB
	check  func(string, int64, []byte) error
	seed   maphash.Seed
	report *Report
	// written are the versions that events after the compacted revision made,
	// needed those and the ones they replaced; true once seen.
	written, needed map[uint64]bool
	// expiring are the entries of live keys that expire.
	expiring map[uint64]bool
}

func (v *verifier) run(dir string) error {
	for _, step := range []func() error{
		func() error { return v.guard(dir) }, func() error { return v.tables(dir) },
		func() error { return v.events(v.expect) }, v.versions, v.missing, v.expiries,
	} {
		if err := errors.Join(step(), v.ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) guard(dir string) error {
	fs := v.db.opts.FS
	f, err := fs.Open(fs.PathJoin(dir, guardName))
	if err != nil {
		return nil // a snapshot has none
	}
	g := guard{file: f}
	acknowledged, err := g.read()
	if acknowledged > v.report.Revision {
		v.report.add(Damage{Problem: lossError(v.report.Revision, acknowledged).Error()})
	}
	return errors.Join(err, f.Close())
}

// tables checks every block of every table.
func (v *verifier) tables(dir string) error {
	levels, err := v.db.pebble.SSTables()
	if err != nil {
		return err
	}
	opts := v.db.pebbleOptions()
	opts.EnsureDefaults()
	readers := opts.MakeReaderOptions()
	for _, level := range levels {
		for _, table := range level {
			name := fmt.Sprintf("%s.sst", table.BackingSSTNum)
			if err := checkTable(v.ctx, v.db.opts.FS, v.db.opts.FS.PathJoin(dir, name), readers); err != nil {
				v.report.add(Damage{File: name, Problem: firstLine(err)})
			}
			v.report.Tables++
		}
	}
	return nil
}

func checkTable(ctx context.Context, fs vfs.FS, path string, opts sstable.ReaderOptions) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	readable, err := objstorageprovider.NewFileReadable(f, fs, objstorageprovider.NewReadaheadConfig(), path)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	reader, err := sstable.NewReader(ctx, readable, opts)
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(reader.ValidateBlockChecksums(), reader.Close())
}

// walk calls fn for every readable record of a space and reports what cannot be
// read in between.
func (v *verifier) walk(space byte, fn func(key, value []byte)) error {
	it, err := v.db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return err
	}
	last := []byte{space}
	for n, ok := 0, it.First(); ; n, ok = n+1, it.Next() {
		if n%1024 == 0 && v.ctx.Err() != nil {
			return errors.Join(v.ctx.Err(), it.Close())
		}
		if !ok && it.Error() != nil {
			problem := firstLine(readError(it.Error()))
			ok = skipDamage(it, last, []byte{space + 1})
			d := Damage{Key: readableKey(last), To: "the end", Problem: problem}
			if ok {
				d.To = readableKey(it.Key())
			}
			v.report.add(d)
		}
		if !ok {
			if err := it.Close(); err != nil && !pebble.IsCorruptionError(err) {
				return err
			}
			return nil
		}
		last = append(last[:0], it.Key()...)
		fn(it.Key(), it.Value())
	}
}

func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// readableKey shows a Pebble key to people.
func readableKey(raw []byte) string {
	if key, rev, err := parseVersionKey(raw); err == nil {
		return fmt.Sprintf("%s at revision %d", key, rev)
	}
	if rev, _, err := parseLogKey(raw); err == nil {
		return fmt.Sprintf("event %d", rev)
	}
	if len(raw) == 1 {
		return "the beginning"
	}
	return fmt.Sprintf("%q", raw)
}
