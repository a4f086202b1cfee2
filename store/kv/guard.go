package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard remembers, outside of Pebble, the newest acknowledged revision. Pebble
// takes a damaged end of its log or manifest for one that was being written when
// the machine stopped, and goes on without it; the guard tells the two apart.
//
// It is a file of two pages that are written in turn, without a sync, after the
// batch itself is on disk: it outlives the process always, and the machine's
// power not always, but it is never newer than what is on disk.
type guard struct {
	file vfs.File
	turn int64
	buf  [guardRecord]byte
}

const (
	guardName   = "acknowledged"
	guardPage   = 4096
	guardRecord = 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openGuard opens the file, creating it if need be, and returns the revision in it;
// 0 if there is none.
func openGuard(fs vfs.FS, dir string) (*guard, int64, error) {
	path := fs.PathJoin(dir, guardName)
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, 0, fmt.Errorf("open %s: %w", path, err)
	}
	g := &guard{file: f}
	rev, err := g.read()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return g, rev, nil
}

func (g *guard) read() (int64, error) {
	var newest int64
	for page := range int64(2) {
		_, err := g.file.ReadAt(g.buf[:], page*guardPage)
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if crc32.Checksum(g.buf[:8], castagnoli) != binary.BigEndian.Uint32(g.buf[8:]) {
			continue
		}
		newest = max(newest, int64(binary.BigEndian.Uint64(g.buf[:])))
	}
	return newest, nil
}

// set records that everything up to rev is acknowledged, or is about to be.
func (g *guard) set(rev int64) error {
	binary.BigEndian.PutUint64(g.buf[:], uint64(rev))
	binary.BigEndian.PutUint32(g.buf[8:], crc32.Checksum(g.buf[:8], castagnoli))
	_, err := g.file.WriteAt(g.buf[:], g.turn*guardPage)
	g.turn = 1 - g.turn
	return err
}

// reset forgets what was recorded before and starts at rev, durably.
func (g *guard) reset(rev int64) error {
	return errors.Join(g.set(rev), g.set(rev), g.file.Sync())
}

func (g *guard) close() error { return g.file.Close() }
