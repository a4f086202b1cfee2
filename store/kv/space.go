package kv

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDiskFull means that the file system of the store has no room. Reads go on,
// and so do urgent writes while the ballast's room lasts; other writes are
// refused until there is room again, which the store finds out by itself.
var ErrDiskFull = errors.New("disk full")

const (
	ballastName = "ballast"
	// spaceInterval is how often a full disk is looked at again.
	spaceInterval = 200 * time.Millisecond
	// tablePatience is how often an operation that Pebble can repeat by itself is
	// retried before it is told that the disk is full.
	tablePatience = 5
	// minHeadroom is the least that must be free, besides the ballast, to resume.
	minHeadroom = 1 << 20
	// ballastShare bounds the ballast to this part of the file system.
	ballastShare = 16
	probeBytes   = 64 << 10
)

// space watches over the room on the disk. When an operation of Pebble finds
// none, the ballast file is removed and the operation repeated, so that Pebble,
// which cannot survive a failed write to its log, does not see the failure; from
// then on writes are refused. If the ballast's room is used up as well, the
// operation waits, and with it the committer, whose requests are then answered
// by failing. A background loop restores the ballast as soon as there is room
// for it and some more, and lifts the condition.
type space struct {
	fs      vfs.FS
	dir     string
	ballast int64
	log     *slog.Logger

	full atomic.Bool
	// opening makes operations fail that would otherwise wait.
	opening atomic.Bool
	wake    chan struct{}
	stop    chan struct{}

	mu struct {
		sync.Mutex
		// stuck is closed when not even the ballast's room is left, and replaced
		// when there is room again.
		stuck   chan struct{}
		isStuck bool
	}
}

func newSpace(fs vfs.FS, dir string, ballast int64, log *slog.Logger, stop chan struct{}) *space {
	s := &space{fs: fs, dir: dir, ballast: ballast, log: log, wake: make(chan struct{}, 1), stop: stop}
	s.mu.stuck = make(chan struct{})
	s.opening.Store(true)
	if usage, err := fs.GetDiskUsage(dir); err == nil {
		s.ballast = min(ballast, int64(usage.TotalBytes/ballastShare))
	}
	return s
}

// opened ends the time in which operations fail at once. A disk without room for
// the ballast counts as full.
func (s *space) opened() {
	s.opening.Store(false)
	if info, err := s.fs.Stat(s.ballastPath()); err == nil && info.Size() == s.ballast && !s.full.Load() {
		return
	}
	if !s.hasRoom() || s.makeBallast() != nil {
		s.report()
		return
	}
	s.full.Store(false)
}

func (s *space) ballastPath() string { return s.fs.PathJoin(s.dir, ballastName) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// try runs an operation on the file name that needs room.
func (s *space) try(name string, op func() error) error {
	err := op()
	if !isFull(err) {
		return err
	}
	s.report()
	if err = op(); !isFull(err) {
		return err
	}
	s.setStuck(true)
	patience := -1
	if s.opening.Load() || strings.HasSuffix(name, ".sst") {
		patience = tablePatience
	}
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for ; patience != 0; patience-- {
		select {
		case <-s.stop:
			return err
		case <-tick.C:
		}
		if err = op(); !isFull(err) {
			return err
		}
	}
	return err
}

// report makes the store read-only and frees the ballast.
func (s *space) report() {
	removed := s.fs.Remove(s.ballastPath()) == nil
	if s.full.Swap(true) {
		return
	}
	s.log.Error("disk full: writes are refused until there is room", "dir", s.dir, "free", s.free(), "ballastReleased", removed)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *space) setStuck(stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case stuck && !s.mu.isStuck:
		close(s.mu.stuck)
	case !stuck && s.mu.isStuck:
		s.mu.stuck = make(chan struct{})
	}
	s.mu.isStuck = stuck
}

// stuck is closed while no operation that needs room can go on.
func (s *space) stuck() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.stuck
}

// refuse says why a write cannot be taken at present.
func (s *space) refuse(urgent bool) error {
	if !s.full.Load() {
		return nil
	}
	if urgent {
		select {
		case <-s.stuck():
		default:
			return nil
		}
	}
	return s.err()
}

func (s *space) err() error {
	return fmt.Errorf("%w: %s free in %s; reads go on, writes resume by themselves when there is room", ErrDiskFull, s.free(), s.dir)
}

func (s *space) free() string {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return "nothing"
	}
	if usage.AvailBytes < 1<<20 {
		return fmt.Sprintf("%d KiB", usage.AvailBytes>>10)
	}
	return fmt.Sprintf("%d MiB", usage.AvailBytes>>20)
}

// loop lifts the condition when there is room, until stop.
func (s *space) loop() {
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		}
		for s.full.Load() {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			s.resume()
		}
	}
}

func (s *space) resume() {
	if !s.hasRoom() || s.makeBallast() != nil {
		return
	}
	s.setStuck(false)
	s.full.Store(false)
	s.log.Info("there is room on the disk again: writes resume", "dir", s.dir)
}

// hasRoom reports whether the ballast and some more would fit, as far as the
// file system tells.
func (s *space) hasRoom() bool {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return true
	}
	return usage.AvailBytes >= uint64(s.ballast)+uint64(max(s.ballast/4, minHeadroom))
}

// makeBallast takes up the room that is given back when the disk is full. Without
// a ballast it only finds out whether something can be written.
func (s *space) makeBallast() error {
	path := s.ballastPath()
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	size := s.ballast
	if size == 0 {
		size = probeBytes
	}
	chunk := make([]byte, min(size, 1<<20))
	for left := size; left > 0 && err == nil; left -= int64(len(chunk)) {
		_, err = f.Write(chunk[:min(int64(len(chunk)), left)])
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil || s.ballast == 0 {
		err = errors.Join(err, s.fs.Remove(path))
	}
	return err
}
