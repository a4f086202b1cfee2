package podplan

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// Op is what an action does.
type Op string

// The operations, in no order.
const (
	RunSandbox      Op = "RunSandbox"
	StopSandbox     Op = "StopSandbox"
	RemoveSandbox   Op = "RemoveSandbox"
	StartContainer  Op = "StartContainer"
	KillContainer   Op = "KillContainer"
	RemoveContainer Op = "RemoveContainer"
	// ResizePod puts changed resources in force for what runs.
	ResizePod Op = "ResizePod"
)

// Action is one step. Steps are done in order; kills that follow each other are
// done at the same time.
type Action struct {
	Op Op
	// ID of the sandbox or container acted on.
	ID string
	// Container to start or kill; nil for sandboxes and for containers that
	// the spec no longer names.
	Container *corev1.Container
	Attempt   int
	// Grace for kills.
	Grace time.Duration
	// Reason is a sentence for the event of a kill.
	Reason string
}

// Result is what Plan decides.
type Result struct {
	Actions []Action
	// Requeue asks for another plan after this time; zero does not.
	Requeue time.Duration
	// Backoff replaces the one observed.
	Backoff map[string]Backoff
	// Waiting containers, with why; for status and events.
	Waiting map[string]Hold
	// Finished says that nothing of the pod runs, and nothing will.
	Finished bool
}

// minGrace is what a container gets even when the pod's time is used up.
const minGrace = 2 * time.Second

// Plan decides the next steps.
func Plan(o Observed) Result {
	p := &planner{view: index(o)}
	p.res.Backoff = map[string]Backoff{}
	for k, b := range o.Backoff {
		p.res.Backoff[k] = b
	}
	p.res.Waiting = map[string]Hold{}
	if left, ok := o.deadlineIn(); ok && left > 0 {
		p.requeue(left)
	}
	if o.Ending() {
		p.end()
	} else {
		p.keep()
	}
	return p.res
}

type planner struct {
	*view
	res Result
}

func (p *planner) do(a Action) { p.res.Actions = append(p.res.Actions, a) }

func (p *planner) requeue(d time.Duration) {
	d = max(d, time.Millisecond)
	if p.res.Requeue == 0 || d < p.res.Requeue {
		p.res.Requeue = d
	}
}

// end stops regular containers, then sidecars in reverse order, then the
// sandbox.
func (p *planner) end() {
	p.removeUnstarted()
	grace := p.remaining()
	if p.killWhere(grace, "Stopping container %s", func(c *container.Container) bool { return !p.isSidecar(c.Name) }) {
		return
	}
	if p.killSidecars(grace) {
		return
	}
	for _, s := range p.State.Sandboxes {
		if s.State == container.Running {
			p.do(Action{Op: StopSandbox, ID: s.ID})
		}
	}
	p.res.Finished = true
}

// remaining is what is left of the pod's time to end.
func (p *planner) remaining() time.Duration {
	grace := p.Grace()
	if grace == 0 || p.KillSince.IsZero() {
		return grace
	}
	return max(grace-p.Now.Sub(p.KillSince), min(minGrace, grace))
}

func (p *planner) isSidecar(name string) bool {
	c := p.specOf(name)
	return c != nil && sidecar(c) && p.isInit(name)
}

func (p *planner) isInit(name string) bool {
	return slices.ContainsFunc(p.Pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

// killWhere kills the running containers that match; true if there were any.
func (p *planner) killWhere(grace time.Duration, reason string, match func(*container.Container) bool) bool {
	any := false
	for i := range p.State.Containers {
		c := &p.State.Containers[i]
		if c.State == container.Running && match(c) {
			any = true
			p.kill(c, grace, fmt.Sprintf(reason, c.Name))
		}
	}
	return any
}

func (p *planner) kill(c *container.Container, grace time.Duration, reason string) {
	p.do(Action{Op: KillContainer, ID: c.ID, Container: p.specOf(c.Name), Grace: grace, Reason: reason})
}

// killSidecars kills the last running one; the others follow when it has ended.
func (p *planner) killSidecars(grace time.Duration) bool {
	for i := len(p.Pod.Spec.InitContainers) - 1; i >= 0; i-- {
		c := p.latest(p.Pod.Spec.InitContainers[i].Name)
		if c != nil && c.State == container.Running {
			p.kill(c, grace, "Stopping container "+c.Name)
			return true
		}
	}
	return false
}

func (p *planner) specOf(name string) *corev1.Container {
	for _, list := range [][]corev1.Container{p.Pod.Spec.InitContainers, p.Pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	for i := range p.Pod.Spec.EphemeralContainers {
		e := &p.Pod.Spec.EphemeralContainers[i]
		if e.Name == name {
			c := corev1.Container(e.EphemeralContainerCommon)
			return &c
		}
	}
	return nil
}

// removeUnstarted removes containers that a crash left between create and start.
func (p *planner) removeUnstarted() {
	for _, c := range p.State.Containers {
		if c.State == container.Created {
			p.do(Action{Op: RemoveContainer, ID: c.ID})
		}
	}
}

// keep brings the pod to run, or to its natural end.
func (p *planner) keep() {
	p.removeUnstarted()
	p.removeOld()
	if p.completed() {
		if !p.killSidecars(p.Grace()) && p.sandbox != nil {
			p.do(Action{Op: StopSandbox, ID: p.sandbox.ID})
		}
		p.res.Finished = !p.anyRunning()
		return
	}
	if p.sandbox == nil {
		p.newSandbox()
		return
	}
	if p.killWhere(p.Grace(), "Container %s belongs to a sandbox that is gone", func(c *container.Container) bool { return !p.here(c) }) {
		return
	}
	p.resize()
	for i := range p.Pod.Spec.EphemeralContainers {
		p.ephemeral(&p.Pod.Spec.EphemeralContainers[i])
	}
	if !p.initialize() {
		return
	}
	for i := range p.Pod.Spec.Containers {
		p.regular(&p.Pod.Spec.Containers[i])
	}
}

// newSandbox replaces a missing or dead one; containers without one are ended.
func (p *planner) newSandbox() {
	if p.killWhere(p.Grace(), "Pod sandbox changed, container %s will be killed and re-created.", func(*container.Container) bool { return true }) {
		return
	}
	attempt := 0
	for _, s := range p.State.Sandboxes {
		attempt = max(attempt, s.Attempt+1)
		p.do(Action{Op: RemoveSandbox, ID: s.ID})
	}
	if p.Now.Before(p.Problem.Until) {
		p.requeue(p.Problem.Until.Sub(p.Now))
		return
	}
	p.do(Action{Op: RunSandbox, Attempt: attempt})
}

// removeOld keeps, per container, the latest and one ended before it.
func (p *planner) removeOld() {
	for _, list := range p.byName {
		for i := 0; i < len(list)-2; i++ {
			p.do(Action{Op: RemoveContainer, ID: list[i].ID})
		}
	}
	slices.SortFunc(p.res.Actions, func(a, b Action) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
}

// completed reports that no regular container will run again, or that an init
// container has failed for good.
func (p *planner) completed() bool {
	if p.Pod.Spec.RestartPolicy == corev1.RestartPolicyAlways && !hasOwnPolicies(p.Pod) {
		return false
	}
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		if l := p.latest(c.Name); !sidecar(c) && l != nil && l.State == container.Exited && l.ExitCode != 0 && !p.restarts(c, l) {
			return true
		}
	}
	for i := range p.Pod.Spec.Containers {
		c := &p.Pod.Spec.Containers[i]
		l := p.latest(c.Name)
		if l == nil || l.State != container.Exited || p.restarts(c, l) {
			return false
		}
	}
	return true
}

func hasOwnPolicies(pod *corev1.Pod) bool {
	own := func(c corev1.Container) bool { return c.RestartPolicy != nil }
	return slices.ContainsFunc(pod.Spec.Containers, own) || slices.ContainsFunc(pod.Spec.InitContainers, own)
}

// restarts decides whether an ended container is started again.
func (p *planner) restarts(c *corev1.Container, l *container.Container) bool {
	for _, r := range c.RestartPolicyRules {
		if r.ExitCodes == nil {
			continue
		}
		in := slices.Contains(r.ExitCodes.Values, int32(l.ExitCode))
		if in == (r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return r.Action == corev1.ContainerRestartRuleActionRestart
		}
	}
	policy := corev1.ContainerRestartPolicy(p.Pod.Spec.RestartPolicy)
	if c.RestartPolicy != nil {
		policy = *c.RestartPolicy
	}
	switch policy {
	case corev1.ContainerRestartPolicyNever:
		return false
	case corev1.ContainerRestartPolicyOnFailure:
		return l.ExitCode != 0
	}
	return true
}

// reported finds a container in a pod status.
func reported(s *corev1.PodStatus, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// Hash of the part of a container's spec that can change while it runs and
// needs a new one then.
func Hash(c *corev1.Container) string { return c.Image }
