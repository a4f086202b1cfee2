package app

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// workers are the loops that run beside the API: each blocks until its context
// ends.
type workers []func(ctx context.Context) error

func (w workers) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range w {
		group.Go(func() error { return run(ctx) })
	}
	return group.Wait()
}

// wireWorkers builds every loop of the control plane.
func (c *controlPlane) wireWorkers() error {
	return nil
}
