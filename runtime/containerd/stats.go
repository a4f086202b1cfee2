package containerd

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"

	"github.com/pintle-io/pintle/runtime/container"
)

// Stats measures all running containers and sandboxes in one call.
func (r *Runtime) Stats(ctx context.Context) (map[string]container.Stats, error) {
	resp, err := r.client.TaskService().Metrics(r.scope(ctx), &tasks.MetricsRequest{})
	if err != nil {
		return nil, fmt.Errorf("measure containers: %w", errgrpc.ToNative(err))
	}
	out := make(map[string]container.Stats, len(resp.Metrics))
	for _, m := range resp.Metrics {
		data, err := typeurl.UnmarshalAny(m.Data)
		if err != nil {
			return nil, err
		}
		if out[m.ID], err = statsOf(m.Timestamp.AsTime(), data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DiskUsage asks the snapshotter, which walks the container's own layer.
func (r *Runtime) DiskUsage(ctx context.Context, id string) (container.DiskUsage, error) {
	u, err := r.client.SnapshotService(r.cfg.Snapshotter).Usage(r.scope(ctx), id)
	if err != nil {
		return container.DiskUsage{}, native(fmt.Errorf("disk usage of container %s: %w", id, err))
	}
	return container.DiskUsage{Bytes: uint64(u.Size), Inodes: uint64(u.Inodes)}, nil
}

func statsOf(at time.Time, data any) (container.Stats, error) {
	s := container.Stats{Time: at}
	switch m := data.(type) {
	case *v1.Metrics:
		cpu, mem := m.GetCPU(), m.GetMemory()
		s.CPUNanos = cpu.GetUsage().GetTotal()
		s.Periods, s.ThrottledPeriods = cpu.GetThrottling().GetPeriods(), cpu.GetThrottling().GetThrottledPeriods()
		s.MemoryUsage = mem.GetUsage().GetUsage()
		s.MemoryRSS, s.MemoryCache = mem.GetTotalRSS(), mem.GetTotalCache()
		s.MemoryWorkingSet = less(s.MemoryUsage, mem.GetTotalInactiveFile())
		s.PageFaults, s.MajorPageFaults = mem.GetTotalPgFault(), mem.GetTotalPgMajFault()
		s.Pids = m.GetPids().GetCurrent()
	case *v2.Metrics:
		cpu, mem := m.GetCPU(), m.GetMemory()
		s.CPUNanos = cpu.GetUsageUsec() * 1000
		s.Periods, s.ThrottledPeriods = cpu.GetNrPeriods(), cpu.GetNrThrottled()
		s.MemoryUsage = mem.GetUsage()
		s.MemoryRSS, s.MemoryCache = mem.GetAnon(), mem.GetFile()
		s.MemoryWorkingSet = less(s.MemoryUsage, mem.GetInactiveFile())
		s.PageFaults, s.MajorPageFaults = mem.GetPgfault(), mem.GetPgmajfault()
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
