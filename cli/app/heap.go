package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The heap of a control plane is small, so that by Go's rule (collect when it has
// doubled) a busy one spends an eighth of its time on collecting. While it is busy,
// it may grow to heapGoal before it is collected, and a large one by leastPct; once it
// is idle, the room goes back to the system. Each collection is looked at, as a burst of a second has
// many of them; the clock only finds that nothing happens any more.
const (
	heapGoal   = 320 << 20
	heapLook   = 2 * time.Second
	busyBytes  = 8 << 20 // allocated between two looks
	idleLooks  = 3
	idlePct    = 100
	leastPct   = 60
	mostPct    = 400
	allocated  = "/gc/heap/allocs:bytes"
	liveObject = "/gc/heap/live:bytes"
)

// tuneHeap adapts the collector to the load until ctx ends.
func tuneHeap(ctx context.Context) {
	tick := time.NewTicker(heapLook)
	defer tick.Stop()
	collected := make(chan struct{}, 1)
	afterCollection(ctx, collected)
	samples := []metrics.Sample{{Name: allocated}, {Name: liveObject}}
	var last uint64
	percent, quiet := idlePct, 0
	for {
		ticked := false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ticked = true
		case <-collected:
		}
		metrics.Read(samples)
		total, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
		busy := total-last > busyBytes
		if ticked || busy {
			last = total
		}
		next := percent
		switch {
		case busy:
			quiet = 0
			next = heapPercent(live)
		case ticked:
			if quiet++; quiet == idleLooks {
				next = idlePct
			}
		}
		if next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
		if ticked && quiet == idleLooks {
			debug.FreeOSMemory()
		}
	}
}

// afterCollection sends to collected, if there is room, after each garbage
// collection until ctx ends.
func afterCollection(ctx context.Context, collected chan<- struct{}) {
	canary := new([64]byte) // too large for the allocator that packs tiny objects
	runtime.AddCleanup(canary, func(struct{}) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default:
		}
		afterCollection(ctx, collected)
	}, struct{}{})
}

// heapPercent is the growth in percent that takes the live heap to heapGoal.
func heapPercent(live uint64) int {
	if live == 0 {
		return mostPct
	}
	percent := (heapGoal - int(live)) * 100 / int(live)
	// In steps, so that it is not set all the time.
	return min(max(percent-percent%20, leastPct), mostPct)
}
