package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/store/keyring"
	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

// Status describes a running store.
type Status struct {
	Revision  int64 `json:"revision"`
	Compacted int64 `json:"compacted"`
	// HistoryBytes estimates what superseded versions take; HistoryStart is the time
	// of the oldest known revision.
	HistoryBytes int64     `json:"historyBytes"`
	HistoryStart time.Time `json:"historyStart,omitzero"`
	// Condition says what is wrong; empty if nothing is.
	Condition string `json:"condition,omitempty"`
	Keys      *Keys  `json:"keys,omitempty"`
}

// Status returns the present state.
func (s *Store) Status() (*Status, error) {
	timeline, err := s.kv.Timeline()
	if err != nil {
		return nil, err
	}
	out := &Status{
		Revision: s.Revision(), Compacted: s.kv.Compacted(), HistoryBytes: s.kv.HistoryBytes(),
		HistoryStart: timeline.Start(), Keys: s.Keys(),
	}
	if err := s.Err(); err != nil {
		out.Condition = err.Error()
	}
	return out, nil
}

// RevisionAt is the newest revision as of t, to about a second.
func (s *Store) RevisionAt(t time.Time) (int64, error) {
	rev, err := s.kv.RevisionAt(t)
	if errors.Is(err, kv.ErrCompacted) {
		timeline, lineErr := s.kv.Timeline()
		if lineErr != nil {
			return 0, lineErr
		}
		return 0, fmt.Errorf("%w: history reaches back to revision %d, %s", err, s.kv.Compacted(), timeline.Start().UTC().Format(time.RFC3339))
	}
	return rev, err
}

// PastObject is one retained version of an object.
type PastObject struct {
	Revision int64
	// Time of the write, to about a second; zero if not known any more.
	Time    time.Time
	Deleted bool
	// Created is set for the version that began the object's life.
	Created bool
	// Object is nil if it was deleted, or if Err says why it cannot be read.
	Object runtime.Object
	Err    error
}

// ObjectHistory returns the retained versions of the object stored under key, the
// newest first. Their resource must be open.
func (s *Store) ObjectHistory(key string) ([]PastObject, error) {
	resources := s.route(key)
	if len(resources) == 0 {
		return nil, fmt.Errorf("no resource holds %s", key)
	}
	timeline, err := s.kv.Timeline()
	if err != nil {
		return nil, err
	}
	defer s.beginRead()()
	var all []PastObject
	err = s.kv.Versions(key, func(v kv.Version) bool {
		past := PastObject{Revision: v.Head.ModRev, Time: timeline.Time(v.Head.ModRev), Deleted: v.Deleted}
		if !v.Deleted {
			e := resources[0].decodeEntry(key, v.Value, v.Head)
			past.Object, past.Err, past.Created = e.obj, e.err, v.Head.CreateRev == v.Head.ModRev
		}
		all = append(all, past)
		return true
	})
	return all, err
}

// Snapshot takes a snapshot below dir.
func (s *Store) Snapshot(dir, name string, includeKeys bool) (snapshot.Info, error) {
	src := snapshot.Source{Checkpoint: s.Checkpoint, Describe: Describe}
	if includeKeys && s.crypt != nil {
		src.KeyFile = s.crypt.keys.Path()
	}
	return snapshot.Save(dir, name, src)
}

// Describe opens a copy of a store for reading and returns its newest revision and
// the keys it needs.
func Describe(dir string) (revision int64, keys []string, err error) {
	db, err := kv.Open(dir, kv.Options{ReadOnly: true})
	if err != nil {
		return 0, nil, err
	}
	keys, err = KeysNeeded(db)
	return db.Revision(), keys, errors.Join(err, db.Close())
}

// Verify checks everything that is stored, on a copy that is made for it beside the
// store and shares its tables.
func (s *Store) Verify(ctx context.Context) (*kv.Report, error) {
	copied := filepath.Clean(s.dir) + ".verifying"
	if err := os.RemoveAll(copied); err != nil {
		return nil, err
	}
	if err := s.Checkpoint(copied); err != nil {
		return nil, err
	}
	var keys *keyring.Keyring
	if s.crypt != nil {
		keys = s.crypt.keys
	}
	report, err := kv.Verify(ctx, copied, kv.Options{}, checker(ctx, keys, s.decodes))
	return report, errors.Join(err, os.RemoveAll(copied))
}

// VerifyDir does the same for a directory that nobody works with. decode, which may
// be nil, is told each value without its encryption.
func VerifyDir(ctx context.Context, dir, keyFile string, decode func(key string, value []byte) error) (*kv.Report, error) {
	db, keys, err := openDir(dir, keyFile)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return kv.Verify(ctx, dir, kv.Options{}, checker(ctx, keys, decode))
}

func checker(ctx context.Context, keys *keyring.Keyring, decode func(string, []byte) error) func(string, int64, []byte) error {
	return func(key string, _ int64, stored []byte) error {
		if keyring.KeyOf(stored) != "" {
			var err error
			if stored, err = decrypt(ctx, keys, key, stored); err != nil {
				return err
			}
		}
		if decode == nil {
			return nil
		}
		return decode(key, stored)
	}
}

// decodes reports whether a value is an object of the resource it belongs to. Those
// of resources that are not open are not looked into.
func (s *Store) decodes(key string, value []byte) error {
	resources := s.route(key)
	if len(resources) == 0 {
		return nil
	}
	_, err := resources[0].decode(value)
	return err
}

// Restore puts the store of a snapshot in the place of the one in dir, which nobody
// may work with; that one is left in snapshot.Previous(dir). The restored store goes
// on above every revision that the present one handed out, as far as it can be told.
func Restore(from snapshot.Info, dir string) error {
	if err := snapshot.Complete(dir); err != nil {
		return err
	}
	var seen int64
	if present, _, err := Describe(dir); err == nil {
		seen = max(present, from.Revision)
	}
	return snapshot.Replace(dir, func(tmp string) error {
		if err := snapshot.Clone(from.StoreDir(), tmp); err != nil {
			return err
		}
		db, err := kv.Open(tmp, kv.Options{Leap: &seen})
		if err != nil {
			return err
		}
		return db.Close()
	})
}
