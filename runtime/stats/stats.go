// Package stats measures a node and its pods: the kubelet's summary API and its
// metrics. It reads the container runtime and the machine, never changes either,
// and decides nothing.
//
// A Collector keeps two measurements of processor time, SampleEvery apart, because
// usage is a rate, and what files take, because counting them is slow. All methods
// may be called at any time from any goroutine.
package stats

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// SampleEvery is the time between two measurements.
const SampleEvery = 10 * time.Second

// Source is what is measured.
type Source interface {
	Pod(ctx context.Context, uid string) (container.PodState, error)
	Stats(ctx context.Context) (map[string]container.Stats, error)
	DiskUsage(ctx context.Context, id string) (container.DiskUsage, error)
}

// Config of a Collector. All but Logger is required.
type Config struct {
	Node   string
	Source Source
	// Pods of the node, as the API has them.
	Pods func() []*corev1.Pod
	// DataDir lies on the file system that pods write to.
	DataDir string
	// VolumeDir is where a volume of a pod is; empty if it is not there.
	VolumeDir func(pod *corev1.Pod, volume string) string
	Logger    *slog.Logger
}

// Collector measures one node.
type Collector struct {
	cfg     Config
	started time.Time

	mu struct {
		sync.Mutex
		last, before *sample
	}
	disks struct {
		sync.Mutex
		known map[string]diskEntry
	}
}

// sample is one measurement of everything.
type sample struct {
	at         time.Time
	machine    machine
	containers map[string]container.Stats
}

// New starts nothing.
func New(cfg Config) *Collector {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Collector{cfg: cfg, started: time.Now()}
	c.disks.known = map[string]diskEntry{}
	return c
}

// Run measures from time to time until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	tick := time.NewTicker(SampleEvery)
	defer tick.Stop()
	for {
		if err := c.measure(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Info("containers not measured, will retry", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Collector) measure(ctx context.Context) error {
	all, err := c.cfg.Source.Stats(ctx)
	if err != nil {
		return err
	}
	s := &sample{at: time.Now(), machine: readMachine(), containers: all}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.before, c.mu.last = c.mu.last, s
	return nil
}

// samples returns the last measurement, made now if there is none, and the one
// before it or nil.
func (c *Collector) samples(ctx context.Context) (last, before *sample, err error) {
	c.mu.Lock()
	last, before = c.mu.last, c.mu.before
	c.mu.Unlock()
	if last != nil {
		return last, before, nil
	}
	if err := c.measure(ctx); err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last, c.mu.before, nil
}

// Pod is what was measured of a pod.
type Pod struct {
	*corev1.Pod
	Containers []Container
	Network    *Network // nil on the host's network
	// At is when, Total the sum over its containers.
	Total     container.Stats
	NanoCores *uint64
}

// Container is what was measured of a running container.
type Container struct {
	container.Container
	container.Stats
	// NanoCores used since the measurement before; nil if there is none.
	NanoCores *uint64
}

// pods joins the pods that run with what was measured of them.
func (c *Collector) pods(ctx context.Context) ([]Pod, error) {
	last, before, err := c.samples(ctx)
	if err != nil {
		return nil, err
	}
	var out []Pod
	for _, pod := range c.cfg.Pods() {
		state, err := c.cfg.Source.Pod(ctx, string(pod.UID))
		if err != nil {
			return nil, err
		}
		if p := join(pod, state, last, before); len(p.Containers) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

func join(pod *corev1.Pod, state container.PodState, last, before *sample) Pod {
	p := Pod{Pod: pod, Total: container.Stats{Time: last.at}}
	var rate uint64
	known := true
	for _, x := range state.Containers {
		s, ok := last.containers[x.ID]
		if x.State != container.Running || !ok {
			continue
		}
		m := Container{Container: x, Stats: s, NanoCores: nanoCores(x.ID, s, before)}
		if p.Network == nil && !pod.Spec.HostNetwork {
			p.Network = readNetwork(x.Pid)
		}
		p.Containers = append(p.Containers, m)
		p.Total = add(p.Total, s)
		if known = known && m.NanoCores != nil; known {
			rate += *m.NanoCores
		}
	}
	if known {
		p.NanoCores = &rate
	}
	return p
}

func nanoCores(id string, s container.Stats, before *sample) *uint64 {
	if before == nil {
		return nil
	}
	old, ok := before.containers[id]
	if !ok {
		return nil
	}
	return rate(s.CPUNanos, old.CPUNanos, s.Time.Sub(old.Time))
}

// rate is nil if it cannot be told.
func rate(now, old uint64, over time.Duration) *uint64 {
	if over <= 0 || now < old {
		return nil
	}
	r := uint64(float64(now-old) / over.Seconds())
	return &r
}

func add(a, b container.Stats) container.Stats {
	a.CPUNanos += b.CPUNanos
	a.MemoryUsage += b.MemoryUsage
	a.MemoryWorkingSet += b.MemoryWorkingSet
	a.MemoryRSS += b.MemoryRSS
	a.MemoryCache += b.MemoryCache
	a.PageFaults += b.PageFaults
	a.MajorPageFaults += b.MajorPageFaults
	a.Pids += b.Pids
	return a
}
