package kv

import (
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskFS is the file system Pebble works on: operations that need room go through
// space, and files are removed only once it is certain that what Pebble found at
// Open is complete (until then they may be all that is left of something).
type diskFS struct {
	vfs.FS
	space *space

	removals struct {
		sync.Mutex
		released bool
		held     []string
	}
}

// Unwrap implements vfs.FS.
func (d *diskFS) Unwrap() vfs.FS { return d.FS }

// Create implements vfs.FS.
func (d *diskFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.Create(name, category) })
}

// OpenReadWrite implements vfs.FS.
func (d *diskFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (d *diskFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, category) })
}

func (d *diskFS) file(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	err = d.space.try(name, func() error {
		f, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, name: name, space: d.space}, nil
}

// Link implements vfs.FS.
func (d *diskFS) Link(oldname, newname string) error {
	return d.space.try(newname, func() error { return d.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (d *diskFS) Rename(oldname, newname string) error {
	return d.space.try(newname, func() error { return d.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (d *diskFS) MkdirAll(dir string, perm os.FileMode) error {
	return d.space.try(dir, func() error { return d.FS.MkdirAll(dir, perm) })
}

// Remove implements vfs.FS.
func (d *diskFS) Remove(name string) error {
	if isData(d.PathBase(name)) && d.hold(name) {
		return nil
	}
	return d.FS.Remove(name)
}

func isData(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-")
}

func (d *diskFS) hold(name string) bool {
	d.removals.Lock()
	defer d.removals.Unlock()
	if d.removals.released {
		return false
	}
	d.removals.held = append(d.removals.held, name)
	return true
}

// release removes what was held back, and whatever comes later at once.
func (d *diskFS) release() {
	d.removals.Lock()
	defer d.removals.Unlock()
	d.removals.released = true
	for _, name := range d.removals.held {
		// A table that stays is found again by the next Open.
		_ = d.FS.Remove(name)
	}
	d.removals.held = nil
}

// diskFile is a file open for writing. A failed sync is final: what the kernel
// could not write, it forgets.
type diskFile struct {
	vfs.File
	name  string
	space *space
}

// Write implements io.Writer.
func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.space.try(f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *diskFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.space.try(f.name, func() error {
		m, err := f.File.WriteAt(p[n:], at+int64(n))
		n += m
		return err
	})
	return n, err
}
