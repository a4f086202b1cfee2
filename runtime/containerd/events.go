package containerd

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/events"
	eventtypes "github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"

	"github.com/pintle-io/pintle/runtime/container"
)

// Events reports exits. When the connection to containerd breaks it tries again
// every second, and then asks for everything to be looked at.
func (r *Runtime) Events(ctx context.Context) <-chan container.Event {
	out := make(chan container.Event, 64)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			r.subscribe(ctx, out)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}

func (r *Runtime) subscribe(ctx context.Context, out chan<- container.Event) {
	ctx, cancel := context.WithCancel(r.scope(ctx))
	defer cancel()
	envelopes, errs := r.client.Subscribe(ctx,
		fmt.Sprintf(`topic=="/tasks/exit",namespace==%q`, r.cfg.Namespace))
	send := func(uid string) bool {
		select {
		case out <- container.Event{PodUID: uid}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !send("") {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-errs:
			if err != nil && ctx.Err() == nil {
				r.cfg.Logger.Info("containerd event stream ended", "err", err)
			}
			return
		case e := <-envelopes:
			if uid := r.podOfExit(e); uid != "" && !send(uid) {
				return
			}
		}
	}
}

// podOfExit is empty for exits of exec processes and of containers of others.
func (r *Runtime) podOfExit(e *eventtypes.Envelope) string {
	v, err := typeurl.UnmarshalAny(e.Event)
	if err != nil {
		return ""
	}
	exit, ok := v.(*events.TaskExit)
	if !ok || exit.ID != exit.ContainerID {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.pods[exit.ContainerID]
}

// Stats measures a running container.
func (r *Runtime) Stats(ctx context.Context, id string) (container.Stats, error) {
	ctx = r.scope(ctx)
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return container.Stats{}, native(err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return container.Stats{}, fmt.Errorf("%w: %w", container.ErrNotRunning, err)
	}
	m, err := task.Metrics(ctx)
	if err != nil {
		return container.Stats{}, native(err)
	}
	data, err := typeurl.UnmarshalAny(m.Data)
	if err != nil {
		return container.Stats{}, err
	}
	return statsOf(m.Timestamp.AsTime(), data)
}

func statsOf(at time.Time, data any) (container.Stats, error) {
	s := container.Stats{Time: at}
	switch m := data.(type) {
	case *v1.Metrics:
		s.CPUNanos = m.GetCPU().GetUsage().GetTotal()
		s.MemoryUsage = m.GetMemory().GetUsage().GetUsage()
		s.MemoryRSS = m.GetMemory().GetTotalRSS()
		s.MemoryWorkingSet = less(s.MemoryUsage, m.GetMemory().GetTotalInactiveFile())
		s.Pids = m.GetPids().GetCurrent()
	case *v2.Metrics:
		s.CPUNanos = m.GetCPU().GetUsageUsec() * 1000
		s.MemoryUsage = m.GetMemory().GetUsage()
		s.MemoryRSS = m.GetMemory().GetAnon()
		s.MemoryWorkingSet = less(s.MemoryUsage, m.GetMemory().GetInactiveFile())
		s.Pids = m.GetPids().GetCurrent()
	default:
		return s, fmt.Errorf("unknown metrics %T", data)
	}
	return s, nil
}

func less(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
