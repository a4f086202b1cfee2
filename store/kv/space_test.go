package kv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("needs the right to mount: run as root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk writes to a file until nothing more fits, and returns it.
func fillDisk(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, endless{}); !isFull(err) {
		t.Fatal(err)
	}
	return path
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// eventually tries f until it is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func writeBig(db *DB, i int, urgent bool) error {
	value := []byte(strings.Repeat("x", 32<<10))
	_, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: fmt.Sprintf("/big/%d", i), Value: value}}, Urgent: urgent})
	return err
}

// writeUntilFull writes until it is refused, and returns how many were accepted.
func writeUntilFull(t *testing.T, db *DB, from int, urgent bool) int {
	t.Helper()
	for i := from; i < from+10_000; i++ {
		switch err := writeBig(db, i, urgent); {
		case errors.Is(err, ErrDiskFull):
			return i
		case err != nil:
			t.Fatal(err)
		}
	}
	t.Fatal("the disk is never full")
	return 0
}

func checkBig(t *testing.T, db *DB, n int) {
	t.Helper()
	for i := range n {
		if _, found, err := db.Get(fmt.Sprintf("/big/%d", i), 0); err != nil || !found {
			t.Fatalf("/big/%d of %d: %v, %v", i, n, found, err)
		}
	}
}

// A full disk refuses writes and nothing else; deletes go on by the ballast's room,
// and everything resumes by itself.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, 64<<20)
	db, err := Open(filepath.Join(disk, "store"), Options{BallastBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "/doomed", "value")
	filler := fillDisk(t, disk)
	n := writeUntilFull(t, db, 0, false)
	if err := db.Err(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("condition: %v", err)
	}
	checkBig(t, db, n)
	if _, err := db.Write(context.Background(), Txn{Ops: []Op{{Key: "/doomed", Delete: true}}, Urgent: true}); err != nil {
		t.Errorf("urgent delete: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes resume", func() bool { return writeBig(db, n, false) == nil })
	if err := db.Err(); err != nil {
		t.Errorf("condition after resuming: %v", err)
	}
	if info, err := os.Stat(filepath.Join(disk, "store", ballastName)); err != nil || info.Size() != 4<<20 {
		t.Errorf("ballast: %v, %v", info, err)
	}
	reopen(t, db, filepath.Join(disk, "store"), n+1)
}

func reopen(t *testing.T, db *DB, dir string, n int) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkBig(t, db, n)
	checkLog(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// When the ballast's room is used up too, requests are answered and wait for
// nothing, Pebble does not fail, and all that was acknowledged is there afterwards.
func TestDiskFullWithoutBallast(t *testing.T) {
	disk := smallDisk(t, 48<<20)
	db, err := Open(filepath.Join(disk, "store"), Options{BallastBytes: 2 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "/a", "value")
	filler := fillDisk(t, disk)
	n := writeUntilFull(t, db, 0, false)
	fillDisk(t, disk)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := 100_000; i < 101_000; i++ {
				if err := writeBig(db, i, true); err != nil {
					if !errors.Is(err, ErrDiskFull) {
						t.Errorf("urgent write: %v", err)
					}
					return
				}
			}
			t.Error("the disk is never full")
		})
	}
	group.Wait()
	checkBig(t, db, n)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes resume", func() bool { return writeBig(db, n, false) == nil })
	reopen(t, db, filepath.Join(disk, "store"), n+1)
}

// A store on a full disk opens and can be read; closing does not wait for room.
func TestOpenOnFullDisk(t *testing.T) {
	disk := smallDisk(t, 48<<20)
	dir := filepath.Join(disk, "store")
	db, err := Open(dir, Options{BallastBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "/a", "value")
	fillDisk(t, disk)
	n := writeUntilFull(t, db, 0, false)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(dir, Options{BallastBytes: 2 << 20})
	if err != nil {
		if !errors.Is(err, ErrDiskFull) {
			t.Fatal(err)
		}
		return
	}
	checkBig(t, db, n)
	// The log of before is gone, which may leave room for some more.
	n = writeUntilFull(t, db, n, false)
	checkBig(t, db, n)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
