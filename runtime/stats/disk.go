package stats

import (
	"context"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pintle-io/pintle/runtime/container"
)

// diskEvery is how long a count of files is good for.
const diskEvery = time.Minute

type diskEntry struct {
	usage container.DiskUsage
	at    time.Time
}

// disk returns what count finds, or what it found within the last minute.
func (c *Collector) disk(key string, count func() (container.DiskUsage, error)) container.DiskUsage {
	now := time.Now()
	c.disks.Lock()
	e, ok := c.disks.known[key]
	c.disks.Unlock()
	if ok && now.Sub(e.at) < diskEvery {
		return e.usage
	}
	usage, err := count()
	if err != nil {
		// It is being removed.
		return e.usage
	}
	c.disks.Lock()
	defer c.disks.Unlock()
	for k, old := range c.disks.known {
		if now.Sub(old.at) > 2*diskEvery {
			delete(c.disks.known, k)
		}
	}
	c.disks.known[key] = diskEntry{usage, now}
	return usage
}

func (c *Collector) rootfs(ctx context.Context, id string) container.DiskUsage {
	return c.disk(id, func() (container.DiskUsage, error) { return c.cfg.Source.DiskUsage(ctx, id) })
}

func (c *Collector) tree(dir string) container.DiskUsage {
	return c.disk(dir, func() (container.DiskUsage, error) { return countTree(dir) })
}

// countTree adds up a tree on one file system; hard links count once.
func countTree(root string) (container.DiskUsage, error) {
	var out container.DiskUsage
	seen := map[uint64]bool{}
	device := uint64(0)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == root {
				return err
			}
			return nil // removed meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		if p == root {
			device = st.Dev
		}
		switch {
		case st.Dev != device && d.IsDir():
			return fs.SkipDir
		case st.Nlink > 1 && !d.IsDir() && seen[st.Ino]:
			return nil
		}
		seen[st.Ino] = st.Nlink > 1
		out.Bytes += uint64(st.Blocks) * 512
		out.Inodes++
		return nil
	})
	return out, err
}

// fileSystem is the one that path lies on.
type fileSystem struct{ size, free, inodes, freeInodes uint64 }

func statFS(path string) fileSystem {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return fileSystem{}
	}
	unit := uint64(s.Bsize)
	return fileSystem{size: s.Blocks * unit, free: s.Bavail * unit, inodes: s.Files, freeInodes: s.Ffree}
}
