package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/store/keyring"
	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

// StoreConfig is what a user can choose about the store. The zero value selects the
// defaults.
type StoreConfig struct {
	// HistoryBytes and HistoryAge bound the history that is kept.
	HistoryBytes int64
	HistoryAge   time.Duration
	// BallastBytes is given up when the disk is full; negative is none.
	BallastBytes int64
	// Encrypt names the resources that are encrypted on disk: RESOURCE or
	// RESOURCE.GROUP, "all" or "none" (default: secrets).
	Encrypt []string
	// AcceptLoss starts although acknowledged writes are missing.
	AcceptLoss bool
}

const defaultBallast = 64 << 20

func storeKeys(data string) string { return filepath.Join(data, "store-keys.json") }

// SnapshotDir is where the snapshots of a data directory are.
func SnapshotDir(data string) string { return filepath.Join(data, "snapshots") }

func (c StoreConfig) validate() error {
	switch {
	case c.HistoryBytes < 0:
		return errors.New("--history-size: want a positive size")
	case c.HistoryAge < 0:
		return errors.New("--history-age: want a positive duration")
	}
	for _, name := range c.Encrypt {
		if name == "" || strings.ContainsAny(name, "/ ") {
			return fmt.Errorf("--encrypt %q: want RESOURCE or RESOURCE.GROUP, for example secrets or widgets.example.com", name)
		}
	}
	return nil
}

// prefixes are those of the keys of the resources that are encrypted.
func (c StoreConfig) prefixes() []string {
	names := c.Encrypt
	if len(names) == 0 {
		names = []string{"secrets"}
	}
	var all []string
	for _, name := range names {
		switch resource, group, grouped := strings.Cut(name, "."); {
		case name == "all":
			return []string{"/"}
		case name == "none":
		case grouped:
			all = append(all, "/"+group+"/"+resource+"/")
		default:
			all = append(all, "/"+resource+"/")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// storeOptions are those of the store of a data directory.
func storeOptions(cfg Config, log *slog.Logger) store.Options {
	ballast := cfg.Store.BallastBytes
	switch {
	case ballast == 0:
		ballast = defaultBallast
	case ballast < 0:
		ballast = 0
	}
	return store.Options{
		Logger: log, HistoryBytes: cfg.Store.HistoryBytes, HistoryAge: cfg.Store.HistoryAge,
		BallastBytes: ballast, AcceptLoss: cfg.Store.AcceptLoss,
		Encryption: &store.Encryption{
			KeyFile: storeKeys(cfg.DataDir), Prefixes: cfg.Store.prefixes(),
			KeysInUse: func() ([]string, error) { return keysInUse(cfg.DataDir) },
		},
	}
}

// keysInUse are the keys that snapshots, and the store before a restoration, need.
func keysInUse(data string) ([]string, error) {
	all, err := snapshot.List(SnapshotDir(data))
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, info := range all {
		keys = append(keys, info.Keys...)
	}
	previous := snapshot.Previous(storeDir(data))
	if _, err := os.Stat(previous); err == nil {
		_, needed, err := store.Describe(previous)
		if err != nil {
			return nil, err
		}
		keys = append(keys, needed...)
	}
	return keys, nil
}

// offline runs f while nobody else works on a data directory that has a store.
func offline(data string, f func(dir string) error) error {
	if _, err := os.Stat(data); err != nil {
		return fmt.Errorf("there is no cluster in %s: %w", data, err)
	}
	lock, err := acquire(data)
	if err != nil {
		return err
	}
	defer lock.release()
	dir := storeDir(data)
	if err := snapshot.Complete(dir); err != nil {
		return err
	}
	return f(dir)
}

// StoreRunning returns the process that works on a data directory, 0 if none.
func StoreRunning(data string) (int, error) { return holder(data) }

// VerifyStore reads everything in the store of a stopped cluster.
func VerifyStore(ctx context.Context, data string) (report *kv.Report, err error) {
	err = offline(data, func(dir string) error {
		report, err = store.VerifyDir(ctx, dir, storeKeys(data), decodes)
		return err
	})
	return report, err
}

// decodes reports whether a value is an object: of a kind that is served, or JSON as
// custom resources are stored.
func decodes(key string, value []byte) error {
	if len(value) > 0 && value[0] == '{' {
		if !json.Valid(value) {
			return errors.New("the value is not valid JSON")
		}
		return nil
	}
	_, _, err := served.Codecs().UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		return fmt.Errorf("the value is no object: %w", err)
	}
	return nil
}

// ExportStore writes the state of a stopped cluster.
func ExportStore(ctx context.Context, data string, w io.Writer, opts store.ExportOptions) (t *store.Transfer, err error) {
	err = offline(data, func(dir string) error {
		t, err = store.ExportDir(ctx, dir, storeKeys(data), w, opts)
		return err
	})
	return t, err
}

// ImportStore makes the store of a new data directory.
func ImportStore(ctx context.Context, data string, r io.Reader) (t *store.Transfer, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	err = offline(data, func(dir string) error {
		t, err = store.ImportDir(ctx, dir, storeKeys(data), r)
		return err
	})
	return t, err
}

// SaveSnapshot takes a snapshot of a stopped cluster.
func SaveSnapshot(data, name string, includeKeys bool) (info snapshot.Info, err error) {
	err = offline(data, func(dir string) error {
		src := snapshot.Source{
			Checkpoint: func(to string) error { return snapshot.Clone(dir, to) },
			Describe:   store.Describe,
		}
		if includeKeys {
			src.KeyFile = storeKeys(data)
		}
		info, err = snapshot.Save(SnapshotDir(data), name, src)
		return err
	})
	return info, err
}

// FindSnapshot takes the name of a snapshot of the data directory, or a path.
func FindSnapshot(data, name string) (snapshot.Info, error) {
	if !strings.ContainsRune(name, filepath.Separator) {
		return snapshot.Load(filepath.Join(SnapshotDir(data), name))
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return snapshot.Info{}, err
	}
	return snapshot.Load(path)
}

// RestoreSnapshot puts a snapshot in the place of the store of a stopped cluster.
func RestoreSnapshot(data string, info snapshot.Info) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	return offline(data, func(dir string) error {
		if err := giveKeys(storeKeys(data), info); err != nil {
			return err
		}
		return store.Restore(info, dir)
	})
}

// giveKeys makes sure that a key file has the keys a snapshot needs.
func giveKeys(file string, info snapshot.Info) error {
	if len(info.Keys) == 0 {
		return nil
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) && !info.KeysIncluded {
		return &store.KeyError{File: file, Missing: info.Keys}
	}
	keys, err := keyring.Open(file)
	if err != nil {
		return err
	}
	if info.KeysIncluded {
		if err := keys.Merge(info.KeyFile()); err != nil {
			return err
		}
	}
	if missing := keys.Missing(info.Keys); len(missing) > 0 {
		return &store.KeyError{File: file, Missing: missing}
	}
	// What the snapshot holds may be in another form than is wanted now.
	return keys.Select(keys.Prefixes())
}

// Branch makes a second data directory of a snapshot, with the identity (the keys and
// certificates) of the first.
func Branch(data, target string, info snapshot.Info) error {
	return snapshot.NewDir(target, func(tmp string) error {
		if err := snapshot.Clone(info.StoreDir(), storeDir(tmp)); err != nil {
			return err
		}
		if _, err := os.Stat(storeKeys(data)); err == nil {
			if err := copyTree(storeKeys(data), storeKeys(tmp)); err != nil {
				return err
			}
		}
		if err := giveKeys(storeKeys(tmp), info); err != nil {
			return err
		}
		return copyTree(pkiDir(data), pkiDir(tmp))
	})
}

// copyTree copies a file, or a directory of files, with their modes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), raw, info.Mode().Perm())
	})
}

// PreviousStore is where the store is that a restoration replaced.
func PreviousStore(data string) string { return snapshot.Previous(storeDir(data)) }

// bytesBelow is the size of the files of a directory; those that go away meanwhile
// do not count.
func bytesBelow(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
