package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// drivers is how many goroutines use one client at the same time.
const drivers = 32

// drive calls do for 0 to n-1 from all drivers and returns the rate.
func drive(ctx context.Context, n int, do func(ctx context.Context, i int) error) (float64, error) {
	began := time.Now()
	err := driveRange(ctx, 0, n, do)
	return float64(n) / time.Since(began).Seconds(), err
}

// driveRange calls do for from to end-1 from all drivers.
func driveRange(ctx context.Context, from, end int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	var group sync.WaitGroup
	for range drivers {
		group.Go(func() {
			for i := int(next.Add(1) - 1); i < end && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				if err := do(ctx, i); err != nil {
					cancel(fmt.Errorf("call %d: %w", i, err))
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// step is one phase over all objects of a kind.
type step struct {
	work string
	goal goal
	do   func(ctx context.Context, i int) error
}

// rounds is how often the systems take turns in one step.
const rounds = 6

// driveSteps measures the steps one after the other, n calls each.
func driveSteps(ctx context.Context, s server, r *report, n int, steps ...step) error {
	for _, st := range steps {
		var sum spent
		for i := range rounds {
			err := sum.measure(s, func() error { return driveRange(ctx, n*i/rounds, n*(i+1)/rounds, st.do) })
			if err != nil {
				return fmt.Errorf("%s: %w", st.work, err)
			}
			r.turns.pass()
		}
		r.addSpent(st.work, float64(n)/sum.wall.Seconds(), perSecond, st.goal, sum, n)
	}
	return nil
}
