package follow

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// TestRun: many wakes make one write, a failure is tried again, and a wake during a
// write is not lost.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New()
		ctx, cancel := context.WithCancel(t.Context())
		var writes []time.Duration
		start := time.Now()
		fail := errors.New("no")
		ended := make(chan error, 1)
		go func() {
			ended <- f.Run(ctx, slog.New(slog.DiscardHandler), "not written", func(context.Context) error {
				writes = append(writes, time.Since(start))
				switch len(writes) {
				case 1:
					return fail
				case 2:
					f.Wake() // as if a change came in while it is written
				}
				return nil
			})
		}()
		for range 10 {
			f.Wake()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{settle, settle + retry + settle, settle + retry + settle + settle}
		if len(writes) != len(want) {
			t.Fatalf("wrote at %v, want %v", writes, want)
		}
		for i, at := range writes {
			if at != want[i] {
				t.Errorf("write %d at %v, want %v", i, at, want[i])
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
