// Package follow keeps something on a node equal to what informers show: rules in
// the kernel, routes, a proxy's table. It owns when that is written (after a short
// wait for more changes, and again after a failure) and never what.
//
// A Follower's Wake may be called from any goroutine; one goroutine, the one in
// Run, calls the function that writes, so that needs no lock.
package follow

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/client-go/tools/cache"
)

// Timing: after a change more of them are awaited, after a failure it is tried
// again.
const (
	settle = 10 * time.Millisecond
	retry  = 2 * time.Second
)

// Follower wakes a writer when informers change.
type Follower struct {
	wake   chan struct{}
	synced []cache.InformerSynced
}

// New follows nothing yet.
func New() *Follower { return &Follower{wake: make(chan struct{}, 1)} }

// On wakes the writer for what is added to an informer or deleted from it, and for
// the updates that changed says yes to. It is called before Run.
func (f *Follower) On(informer cache.SharedIndexInformer, changed func(old, cur any) bool) error {
	handle, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { f.Wake() }, DeleteFunc: func(any) { f.Wake() },
		UpdateFunc: func(old, cur any) {
			if changed(old, cur) {
				f.Wake()
			}
		},
	})
	if err != nil {
		return err
	}
	f.synced = append(f.synced, handle.HasSynced)
	return nil
}

// Wake has the writer run soon; it never blocks.
func (f *Follower) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Changes receives after a Wake: for who writes without Run.
func (f *Follower) Changes() <-chan struct{} { return f.wake }

// Wait returns true when the informers are filled, false when ctx ended before.
func (f *Follower) Wait(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), f.synced...)
}

// Run calls write once the informers are filled, and again after every change,
// until ctx ends. What write fails with is logged as failed.
func (f *Follower) Run(ctx context.Context, log *slog.Logger, failed string, write func(context.Context) error) error {
	if !f.Wait(ctx) {
		return nil
	}
	f.Wake()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		if !pause(ctx, settle) {
			return nil
		}
		select { // what came in meanwhile is part of this round
		case <-f.wake:
		default:
		}
		if err := write(ctx); err != nil && ctx.Err() == nil {
			log.Warn(failed+", trying again", "err", err)
			time.AfterFunc(retry, f.Wake)
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
