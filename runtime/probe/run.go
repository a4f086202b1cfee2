package probe

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Kind of a probe.
type Kind string

// The kinds of probes.
const (
	Startup   Kind = "Startup"
	Liveness  Kind = "Liveness"
	Readiness Kind = "Readiness"
)

// Loop asks one container periodically.
type Loop struct {
	Kind    Kind
	Probe   *corev1.Probe
	Started time.Time // when the container started
	// Ask asks once.
	Ask func(ctx context.Context) (Result, string)
	// Hold, if set, is closed when the startup probe has passed; until then
	// other probes wait.
	Hold <-chan struct{}
	// Verdict is called when the verdict changes.
	Verdict func(r Result, message string)
	// Failed is called for every failure, with its message.
	Failed func(message string)
}

// Run asks until ctx ends, or until the answer is final: the startup probe has
// passed, or startup or liveness has failed (the container will be replaced).
func (l *Loop) Run(ctx context.Context) {
	if l.Hold != nil {
		select {
		case <-ctx.Done():
			return
		case <-l.Hold:
		}
	}
	if !sleep(ctx, time.Until(l.Started.Add(time.Duration(l.Probe.InitialDelaySeconds)*time.Second))) {
		return
	}
	period := max(time.Duration(l.Probe.PeriodSeconds)*time.Second, time.Second)
	var c counter
	verdict := Unknown
	for {
		r, msg := l.Ask(ctx)
		if ctx.Err() != nil {
			return
		}
		if r == Failure {
			l.Failed(msg)
		}
		if c.reached(r, l.Probe) && r != verdict {
			verdict = r
			l.Verdict(r, msg)
			if r == Success && l.Kind == Startup || r == Failure && l.Kind != Readiness {
				return
			}
		}
		if !sleep(ctx, period) {
			return
		}
	}
}

// counter counts equal answers in a row.
type counter struct {
	last Result
	n    int32
}

// reached reports whether r has now been answered as often as the probe demands.
func (c *counter) reached(r Result, p *corev1.Probe) bool {
	if r == Unknown {
		return false
	}
	if r != c.last {
		c.last, c.n = r, 0
	}
	c.n++
	if r == Failure {
		return c.n >= max(p.FailureThreshold, 1)
	}
	return c.n >= max(p.SuccessThreshold, 1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
