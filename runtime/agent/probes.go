package agent

import (
	"context"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/probe"
)

// probes runs the probes of one pod's containers and keeps their verdicts.
type probes struct {
	w  *worker
	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		byID map[string]*probed
	}
}

type probed struct {
	verdict podplan.Verdict
	cancel  context.CancelFunc
}

func newProbes(w *worker) *probes {
	p := &probes{w: w}
	p.mu.byID = map[string]*probed{}
	return p
}

// verdicts copies what is known.
func (p *probes) verdicts() map[string]podplan.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]podplan.Verdict, len(p.mu.byID))
	for id, x := range p.mu.byID {
		out[id] = x.verdict
	}
	return out
}

// follow starts the probes of containers that run and stops those of others.
func (p *probes) follow(ctx context.Context, pod *corev1.Pod, running []container.Container, podIP string) {
	keep := map[string]bool{}
	for _, c := range running {
		keep[c.ID] = true
		spec := findContainer(pod, c.Name)
		if spec == nil {
			continue
		}
		p.mu.Lock()
		_, known := p.mu.byID[c.ID]
		p.mu.Unlock()
		if !known {
			p.begin(ctx, pod, spec, c, podIP)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, x := range p.mu.byID {
		if !keep[id] {
			x.cancel()
			delete(p.mu.byID, id)
		}
	}
}

func (p *probes) begin(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, c container.Container, podIP string) {
	ctx, cancel := context.WithCancel(ctx)
	x := &probed{cancel: cancel, verdict: firstVerdict(pod, spec, p.w.a.runtimeName+"://"+c.ID)}
	started := make(chan struct{})
	if x.verdict.Started {
		close(started)
	}
	p.mu.Lock()
	p.mu.byID[c.ID] = x
	p.mu.Unlock()
	for kind, pr := range map[probe.Kind]*corev1.Probe{probe.Startup: spec.StartupProbe, probe.Liveness: spec.LivenessProbe, probe.Readiness: spec.ReadinessProbe} {
		if pr == nil || kind == probe.Startup && x.verdict.Started {
			continue
		}
		l := p.loop(kind, pr, pod, spec, c, podIP)
		if kind != probe.Startup {
			l.Hold = started
		}
		l.Verdict = func(r probe.Result, msg string) {
			if kind == probe.Startup && r == probe.Success {
				close(started)
			}
			p.set(c.ID, kind, r, pr)
		}
		p.wg.Go(func() { l.Run(ctx) })
	}
}

// firstVerdict is what holds before the first answer. After a restart of the
// agent it is what was last reported of the same container.
func firstVerdict(pod *corev1.Pod, spec *corev1.Container, id string) podplan.Verdict {
	v := podplan.Verdict{Started: spec.StartupProbe == nil, Ready: spec.ReadinessProbe == nil}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, s := range list {
			if s.ContainerID == id && s.State.Running != nil {
				v.Started = v.Started || s.Started != nil && *s.Started
				v.Ready = v.Ready || s.Ready
			}
		}
	}
	return v
}

func (p *probes) set(id string, kind probe.Kind, r probe.Result, pr *corev1.Probe) {
	p.mu.Lock()
	x := p.mu.byID[id]
	if x == nil {
		p.mu.Unlock()
		return
	}
	switch {
	case kind == probe.Readiness:
		x.verdict.Ready = r == probe.Success
	case r == probe.Failure:
		x.verdict.Failed = map[probe.Kind]string{probe.Startup: "startup", probe.Liveness: "liveness"}[kind]
		x.verdict.Grace = pr.TerminationGracePeriodSeconds
	case kind == probe.Startup:
		x.verdict.Started = true
	}
	p.mu.Unlock()
	p.w.wakeUp()
}

func (p *probes) loop(kind probe.Kind, pr *corev1.Probe, pod *corev1.Pod, spec *corev1.Container, c container.Container, podIP string) *probe.Loop {
	target := probe.Target{PodIP: podIP, Container: spec, Exec: func(ctx context.Context, cmd []string, out io.Writer) (int, error) {
		both := &lockedWriter{w: out}
		return p.w.a.cfg.Runtime.Exec(ctx, c.ID, container.ExecOptions{Command: cmd, Stdout: both, Stderr: both})
	}}
	return &probe.Loop{
		Kind: kind, Probe: pr, Started: c.StartedAt,
		Ask: func(ctx context.Context) (probe.Result, string) {
			began := time.Now()
			r, msg := p.w.a.prober.Once(ctx, pr, target)
			if ctx.Err() == nil {
				p.w.a.metrics.probed(kind, r, pod, spec.Name, time.Since(began))
			}
			return r, msg
		},
		Failed: func(msg string) {
			p.w.event(pod, spec, corev1.EventTypeWarning, "Unhealthy", string(kind)+" probe failed: "+msg)
		},
	}
}

// stop ends all probes and waits for them.
func (p *probes) stop() {
	p.follow(context.Background(), &corev1.Pod{}, nil, "")
	p.wg.Wait()
}
