package kv

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleLogger hands Pebble's messages to slog. Pebble calls Fatalf where it
// cannot go on (a failed WAL write, a failed MANIFEST sync) and expects it not
// to return. Ending the process is not ours to decide, so Fatalf records the
// failure, after which the DB refuses every write, and ends the goroutine.
type pebbleLogger struct {
	log    *slog.Logger
	failed atomic.Pointer[error]
	// broken is closed after failed is set.
	broken chan struct{}
	// damaged is the first damage found while the store was open.
	damaged atomic.Pointer[error]
}

func newPebbleLogger(log *slog.Logger) *pebbleLogger {
	return &pebbleLogger{log: log, broken: make(chan struct{})}
}

// Infof implements pebble.Logger.
func (l *pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. It does not return.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("%w: %s", ErrFailed, fmt.Sprintf(format, args...))
	l.fail(err)
	runtime.Goexit()
}

// fail keeps the first failure.
func (l *pebbleLogger) fail(err error) {
	if l.failed.CompareAndSwap(nil, &err) {
		close(l.broken)
		l.log.Error("store failed, writes are refused until restart", "err", err)
	}
}

func (l *pebbleLogger) failure() error {
	if p := l.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *pebbleLogger) damage() error {
	if p := l.damaged.Load(); p != nil {
		return *p
	}
	return nil
}

// listener replaces the defaults of Pebble that would call Fatalf on the
// goroutine of a reader.
func (l *pebbleLogger) listener() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			err := fmt.Errorf("%w: %s", ErrDamaged, info)
			l.damaged.CompareAndSwap(nil, &err)
			l.log.Error("pebble found corrupt data", "err", err)
		},
		BackgroundError: func(err error) {
			l.log.Error("pebble background error", "err", err)
		},
	}
}
