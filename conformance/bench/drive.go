package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
)

// drivers is how many goroutines use one client at the same time.
const drivers = 32

// encoding is how requests and answers are written.
type encoding struct{ name, contentType string }

var (
	protobuf = encoding{"protobuf", "application/vnd.kubernetes.protobuf"}
	jsonText = encoding{"json", "application/json"}
)

func clientFor(c *harness.Cluster, e encoding) (kubernetes.Interface, error) {
	cfg, err := c.REST()
	if err != nil {
		return nil, err
	}
	cfg.ContentType, cfg.AcceptContentTypes = e.contentType, e.contentType
	return kubernetes.NewForConfig(cfg)
}

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
