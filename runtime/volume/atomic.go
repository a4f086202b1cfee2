package volume

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writePayload makes dir show exactly the files given. All change at once:
//
//	dir/..2026_01_02_03_04_05.123456789/key   the content
//	dir/..data -> ..2026_01_02_03_04_05.123456789
//	dir/key    -> ..data/key
//
// A reader follows ..data, which is swapped by one rename, so it sees the old
// files or the new ones. Nothing is written if nothing changed.
func writePayload(dir string, files map[string]file, group *int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const data = "..data"
	old, err := os.Readlink(filepath.Join(dir, data))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if old != "" && samePayload(filepath.Join(dir, old), files) {
		return linkNames(dir, files)
	}
	fresh := ".." + time.Now().UTC().Format("2006_01_02_15_04_05.000000000")
	if err := writeFiles(filepath.Join(dir, fresh), files, group); err != nil {
		return err
	}
	if err := setGroup(dir, 0o755, group); err != nil {
		return err
	}
	tmp := filepath.Join(dir, data+"_tmp")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(fresh, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, data)); err != nil {
		return err
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	return dropStale(dir, fresh)
}

func samePayload(dir string, files map[string]file) bool {
	n := 0
	same := true
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(p)
		if f, ok := files[rel]; err != nil || !ok || !bytes.Equal(f.data, have) {
			same = false
		}
		return err
	})
	return err == nil && same && n == len(files)
}

func writeFiles(dir string, files map[string]file, group *int64) error {
	if err := mkdir(dir, group); err != nil {
		return err
	}
	for name, f := range files {
		p := filepath.Join(dir, name)
		for parent := range parents(name) {
			if err := mkdir(filepath.Join(dir, parent), group); err != nil {
				return err
			}
		}
		if err := os.WriteFile(p, f.data, 0o600); err != nil {
			return err
		}
		if f.uid != nil {
			if err := os.Chown(p, int(*f.uid), -1); err != nil {
				return err
			}
		}
		mode := os.FileMode(f.mode) & os.ModePerm
		if group != nil {
			mode |= 0o440
		}
		if err := setGroup(p, mode, group); err != nil {
			return err
		}
	}
	return nil
}

// parents yields "a", "a/b" for "a/b/c".
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range name {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

func mkdir(dir string, group *int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return setGroup(dir, 0o755, group)
}

// setGroup gives path the mode and, if there is one, the pod's group; folders
// pass the group on.
func setGroup(path string, mode os.FileMode, group *int64) error {
	if group != nil {
		if err := os.Chown(path, -1, int(*group)); err != nil {
			return err
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			mode |= os.ModeSetgid | 0o550
		}
	}
	return os.Chmod(path, mode)
}

// linkNames makes a link for the first element of every path and removes links
// to what is gone.
func linkNames(dir string, files map[string]file) error {
	want := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		want[first] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		if !want[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		delete(want, e.Name())
	}
	for name := range want {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// dropStale removes content that ..data does not point to.
func dropStale(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "..") && e.Name() != keep {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
