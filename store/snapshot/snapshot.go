package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	infoFile = "snapshot.json"
	storeDir = "store"
	keysFile = "keys.json"
	// building marks what is not complete.
	building = ".building-"
)

// Info describes a snapshot.
type Info struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// Revision is the newest revision in it.
	Revision int64 `json:"revision"`
	// Keys are the ids of the keys that values in it may be encrypted with.
	Keys []string `json:"keys,omitempty"`
	// KeysIncluded says that these keys are in the snapshot too.
	KeysIncluded bool `json:"keysIncluded,omitempty"`
	// Path is where it is; not stored.
	Path string `json:"path,omitempty"`
}

// Source is the store a snapshot is taken of.
type Source struct {
	// Checkpoint writes a copy of the store to a directory that does not exist.
	Checkpoint func(dir string) error
	// Describe opens such a copy for reading and returns its newest revision and the
	// keys it needs.
	Describe func(dir string) (revision int64, keys []string, err error)
	// KeyFile is copied into the snapshot if it is set.
	KeyFile string
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckName refuses names that would not be safe as those of directories.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("snapshot name %q: want letters, digits, dots, dashes and underscores, at most 63, the first a letter or digit", name)
	}
	return nil
}

// Save takes a snapshot below dir.
func Save(dir, name string, src Source) (Info, error) {
	info := Info{Name: name, Path: filepath.Join(dir, name)}
	if err := CheckName(name); err != nil {
		return info, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return info, err
	}
	if there, err := exists(info.Path); err != nil || there {
		return info, errors.Join(err, fmt.Errorf("snapshot %s: %w; delete it or choose another name", name, fs.ErrExist))
	}
	tmp := filepath.Join(dir, building+name)
	err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o700))
	if err == nil {
		err = fill(tmp, &info, src)
	}
	if err == nil {
		err = rename(tmp, info.Path)
	}
	if err != nil {
		return info, errors.Join(fmt.Errorf("snapshot %s: %w", name, err), os.RemoveAll(tmp))
	}
	return info, nil
}

func fill(tmp string, info *Info, src Source) error {
	copied := filepath.Join(tmp, storeDir)
	if err := src.Checkpoint(copied); err != nil {
		return err
	}
	var err error
	if info.Revision, info.Keys, err = src.Describe(copied); err != nil {
		return err
	}
	info.Created = time.Now().UTC().Truncate(time.Millisecond)
	if src.KeyFile != "" {
		if err := copyFile(src.KeyFile, filepath.Join(tmp, keysFile)); err != nil {
			return err
		}
		info.KeysIncluded = true
	}
	stored := *info
	stored.Path = ""
	raw, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(tmp, infoFile), append(raw, '\n'))
}

// Sweep removes what Save and Delete left below dir when they were interrupted: it is
// not listed, but its hard links keep tables on the disk that the store has dropped.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, building+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Load reads the description of the snapshot in a directory.
func Load(path string) (Info, error) {
	raw, err := os.ReadFile(filepath.Join(path, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("there is no snapshot in %s: %w", path, err)
	}
	if err != nil {
		return Info{}, err
	}
	var info Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return Info{}, fmt.Errorf("snapshot %s: %s is damaged: %w", path, infoFile, err)
	}
	info.Path = path
	return info, nil
}

// List returns the snapshots below dir, the oldest first.
func List(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := Load(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b Info) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// Delete removes a snapshot, and whatever an interrupted Save or Delete left.
func Delete(dir, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if _, err := Load(path); err != nil {
		return err
	}
	// Under a name that is not listed, so that it is never half there.
	tmp := filepath.Join(dir, building+name)
	if err := errors.Join(os.RemoveAll(tmp), os.Rename(path, tmp), syncDir(dir)); err != nil {
		return err
	}
	return os.RemoveAll(tmp)
}

// StoreDir is the store directory in a snapshot.
func (i Info) StoreDir() string { return filepath.Join(i.Path, storeDir) }

// KeyFile is where the keys are, if they are included.
func (i Info) KeyFile() string { return filepath.Join(i.Path, keysFile) }
