package podplan

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// initialize walks through the init containers in order; true when regular
// containers may run.
func (p *planner) initialize() bool {
	initialized := p.initialized()
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		ok := true
		if sidecar(c) {
			ok = p.sidecar(c)
		} else if !initialized {
			ok = p.initContainer(c)
		}
		if !ok && !initialized {
			return false
		}
	}
	return true
}

// initialized: a regular container was started in this sandbox.
func (p *planner) initialized() bool {
	return slices.ContainsFunc(p.Pod.Spec.Containers, func(c corev1.Container) bool { return p.here(p.latest(c.Name)) })
}

func (p *planner) initContainer(c *corev1.Container) bool {
	l := p.latest(c.Name)
	switch {
	case !p.here(l):
		p.start(c, l)
	case l.State == container.Exited && l.ExitCode == 0:
		return true
	case l.State == container.Exited:
		p.restart(c, l)
	}
	return false
}

// sidecar keeps a restartable init container running; true once it has started.
func (p *planner) sidecar(c *corev1.Container) bool {
	l := p.latest(c.Name)
	switch {
	case !p.here(l):
		p.start(c, l)
	case l.State == container.Exited:
		p.restart(c, l)
	case l.State == container.Running:
		if p.unfit(c, l) {
			return false
		}
		return p.Verdicts[l.ID].Started
	}
	return false
}

func (p *planner) regular(c *corev1.Container) {
	l := p.latest(c.Name)
	switch {
	case l == nil:
		p.start(c, nil)
	case l.State == container.Exited && p.restarts(c, l):
		p.restart(c, l)
	case l.State == container.Running:
		p.unfit(c, l)
	}
}

// ephemeral containers are started once.
func (p *planner) ephemeral(e *corev1.EphemeralContainer) {
	if p.latest(e.Name) == nil {
		c := corev1.Container(e.EphemeralContainerCommon)
		p.start(&c, nil)
	}
}

// unfit kills a running container that must be replaced.
func (p *planner) unfit(c *corev1.Container, l *container.Container) bool {
	grace := p.Grace()
	verdict := p.Verdicts[l.ID]
	switch {
	case l.Hash != Hash(c):
		p.kill(l, grace, fmt.Sprintf("Container %s definition changed, will be restarted", c.Name))
	case verdict.Failed != "":
		if verdict.Grace != nil {
			grace = time.Duration(*verdict.Grace) * time.Second
		}
		p.kill(l, grace, fmt.Sprintf("Container %s failed %s probe, will be restarted", c.Name, verdict.Failed))
	default:
		return false
	}
	return true
}

// start begins the next attempt unless the container is held.
func (p *planner) start(c *corev1.Container, last *container.Container) {
	if h, ok := p.Holds[c.Name]; ok && p.Now.Before(h.Until) {
		p.res.Waiting[c.Name] = h
		p.requeue(h.Until.Sub(p.Now))
		return
	}
	attempt := 0
	if last != nil {
		attempt = last.Attempt + 1
	} else if s := reported(&p.Pod.Status, c.Name); s != nil && (s.LastTerminationState.Terminated != nil || s.ContainerID != "") {
		// Known to the API but gone from the machine.
		attempt = int(s.RestartCount) + 1
	}
	p.do(Action{Op: StartContainer, Container: c, Attempt: attempt})
}

// restart starts an ended container again, or has it wait in CrashLoopBackOff.
func (p *planner) restart(c *corev1.Container, l *container.Container) {
	b, known := p.res.Backoff[c.Name]
	fresh := !known || l.FinishedAt.Sub(b.Last) > 2*p.Limits.BackoffMax
	if wait := l.FinishedAt.Add(b.Delay).Sub(p.Now); !fresh && wait > 0 {
		p.res.Waiting[c.Name] = Hold{
			Reason: "CrashLoopBackOff", Until: p.Now.Add(wait),
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", b.Delay, c.Name, p.Pod.Name, p.Pod.Namespace, p.Pod.UID),
		}
		p.requeue(wait)
		return
	}
	before := len(p.res.Actions)
	p.start(c, l)
	if len(p.res.Actions) == before {
		return
	}
	delay := p.Limits.Backoff
	if !fresh {
		delay = min(2*b.Delay, p.Limits.BackoffMax)
	}
	p.res.Backoff[c.Name] = Backoff{Delay: delay, Last: p.Now}
}
