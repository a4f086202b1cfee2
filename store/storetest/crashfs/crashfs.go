// Package crashfs lets the power fail under a store: it clones a file system in
// memory, as a failure at that moment would leave it, before operations that change
// it. It knows nothing of what is stored, and is for tests alone.
//
// Its functions may be called by any goroutine that uses the file system.
package crashfs

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Watch calls before with the number of each operation that changes the file
// system, from 0, on the goroutine that is about to do it.
func Watch(mem *vfs.MemFS, before func(op int64)) vfs.FS {
	var ops atomic.Int64
	return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			before(ops.Add(1) - 1)
		}
		return nil
	}))
}

// Crash is what a failure left, and what was known just before it.
type Crash[T any] struct {
	Clone *vfs.MemFS
	Known T
}

// Config says how the power fails.
type Config struct {
	// Percent of the data that was not synced survives.
	Percent int
	RNG     *rand.Rand
	// Between two failures are at most so many operations.
	Between int64
}

// Anywhere makes the power fail at random operations until ctx ends. known is called
// just before each failure. The next one comes when the last was received: who opens a
// store on the file system may receive only afterwards.
func Anywhere[T any](ctx context.Context, mem *vfs.MemFS, cfg Config, known func() T) (vfs.FS, <-chan Crash[T]) {
	crashes := make(chan Crash[T])
	var next atomic.Int64
	next.Store(1 + cfg.RNG.Int64N(cfg.Between))
	return Watch(mem, func(op int64) {
		due := next.Load()
		if op < due || ctx.Err() != nil || !next.CompareAndSwap(due, math.MaxInt64) {
			return
		}
		c := Crash[T]{Known: known()}
		c.Clone = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: cfg.Percent, RNG: cfg.RNG})
		pause := 1 + cfg.RNG.Int64N(cfg.Between)
		go func() {
			select {
			case crashes <- c:
			case <-ctx.Done():
			}
			next.Store(op + pause)
		}()
	}), crashes
}
