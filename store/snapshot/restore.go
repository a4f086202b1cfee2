package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
)

// The names a store directory has while it is being replaced: tmp is not complete,
// next is and will be the store, previous was.
func tmpOf(store string) string  { return store + ".building" }
func nextOf(store string) string { return store + ".next" }

// Previous is where Replace leaves the store that was there before.
func Previous(store string) string { return store + ".previous" }

// Replace puts a new store directory in the place of store: build makes it under
// another name. From when build has succeeded on, the replacement happens whatever
// is interrupted. What was there before is left in Previous.
func Replace(store string, build func(dir string) error) error {
	if err := Complete(store); err != nil {
		return err
	}
	tmp := tmpOf(store)
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(store), 0o700); err != nil {
		return err
	}
	if err := build(tmp); err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	if err := rename(tmp, nextOf(store)); err != nil {
		return err
	}
	return Complete(store)
}

// Complete finishes a replacement that was interrupted after its build succeeded, and
// removes what one before that point left.
func Complete(store string) error {
	if err := os.RemoveAll(tmpOf(store)); err != nil {
		return fmt.Errorf("remove a store that was not finished: %w", err)
	}
	next := nextOf(store)
	pending, err := exists(next)
	if err != nil || !pending {
		return err
	}
	there, err := exists(store)
	if err != nil {
		return err
	}
	if there {
		if err := os.RemoveAll(Previous(store)); err != nil {
			return fmt.Errorf("make way for the store that is replaced: %w", err)
		}
		if err := rename(store, Previous(store)); err != nil {
			return fmt.Errorf("move the store that is replaced: %w", err)
		}
	}
	if err := rename(next, store); err != nil {
		return fmt.Errorf("finish the replacement of the store: %w", err)
	}
	return nil
}

// NewDir makes dir, which must not exist or be empty, in one step: build fills it
// under another name.
func NewDir(dir string, build func(tmp string) error) error {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty; choose a directory that does not exist", dir)
	case err != nil && !os.IsNotExist(err):
		return err
	}
	tmp := dir + ".building"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	if err := build(tmp); err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	_ = os.Remove(dir) // empty
	return rename(tmp, dir)
}
