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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for range drivers {
		group.Go(func() {
			for i := int(next.Add(1) - 1); i < n && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				if err := do(ctx, i); err != nil {
					cancel(fmt.Errorf("call %d: %w", i, err))
					return
				}
			}
		})
	}
	group.Wait()
	return float64(n) / time.Since(began).Seconds(), context.Cause(ctx)
}

// step is one phase over all objects of a kind.
type step struct {
	work string
	goal goal
	do   func(ctx context.Context, i int) error
}

// driveSteps measures the steps one after the other, n calls each.
func driveSteps(ctx context.Context, s server, r *report, n int, steps ...step) error {
	for _, st := range steps {
		before, err := cpuOf(s)
		if err != nil {
			return err
		}
		rate, err := drive(ctx, n, st.do)
		if err != nil {
			return fmt.Errorf("%s: %w", st.work, err)
		}
		after, err := cpuOf(s)
		if err != nil {
			return err
		}
		r.addCost(st.work, rate, perSecond, st.goal, (after-before)/time.Duration(n))
	}
	return nil
}
