// Package podplan decides, for one pod on this node, what to do next and what to
// report. Plan and Status are pure: a snapshot goes in, a value comes out. They
// know nothing of goroutines, the API or the container runtime.
package podplan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// Observed is a snapshot of one pod. It is not changed.
type Observed struct {
	Now time.Time
	// Pod as the API has it; its status is what was last reported.
	Pod *corev1.Pod
	// State is what the container runtime has.
	State container.PodState
	// Verdicts of probes, by container id.
	Verdicts map[string]Verdict
	// Backoff of containers that were restarted, by name.
	Backoff map[string]Backoff
	// Holds are containers that could not be started, by name.
	Holds map[string]Hold
	// Messages are termination messages, by container id.
	Messages map[string]string
	// Resize of the pod's resources.
	Resize Resize
	// Removed says that the API has the pod no more.
	Removed bool
	// KillSince is when the end of the pod was first seen.
	KillSince time.Time
	// Problem keeps the whole pod from starting (volumes, network), as
	// waiting reason and message; empty if there is none.
	Problem Hold

	Node   Node
	Limits Limits
}

// Node is what status shows of the machine.
type Node struct {
	IPs []string
	// RuntimeName begins container ids: "containerd".
	RuntimeName string
}

// Limits of back-off.
type Limits struct {
	Backoff, BackoffMax time.Duration
}

// Verdict is what the probes of one running container say.
type Verdict struct {
	Started bool
	Ready   bool
	// Failed is why the container must be restarted: "liveness" or "startup".
	Failed string
	// Grace overrides the pod's for that restart.
	Grace *int64
}

// Backoff remembers how eagerly a container was restarted.
type Backoff struct {
	Delay time.Duration
	Last  time.Time
}

// Hold keeps a container from being started until a time.
type Hold struct {
	Until           time.Time
	Reason, Message string
}

// view is an index over Observed.
type view struct {
	Observed
	sandbox *container.Sandbox // the running one, if any
	byName  map[string][]container.Container
}

func index(o Observed) *view {
	v := &view{Observed: o, byName: map[string][]container.Container{}}
	for i := range o.State.Sandboxes {
		if o.State.Sandboxes[i].State == container.Running {
			v.sandbox = &o.State.Sandboxes[i]
		}
	}
	for _, c := range o.State.Containers {
		v.byName[c.Name] = append(v.byName[c.Name], c)
	}
	return v
}

// latest attempt of a container, nil if it never was made.
func (v *view) latest(name string) *container.Container {
	list := v.byName[name]
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1]
}

// previous is the attempt before the latest that has ended.
func (v *view) previous(name string) *container.Container {
	list := v.byName[name]
	for i := len(list) - 2; i >= 0; i-- {
		if list[i].State == container.Exited {
			return &list[i]
		}
	}
	return nil
}

// here reports whether c lives in the running sandbox.
func (v *view) here(c *container.Container) bool {
	return c != nil && v.sandbox != nil && c.SandboxID == v.sandbox.ID
}

// running reports whether any container of the pod runs.
func (v *view) anyRunning() bool {
	for _, c := range v.State.Containers {
		if c.State == container.Running {
			return true
		}
	}
	return false
}

func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// terminal reports a phase that is never left.
func terminal(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

// DeadlineExceeded reports whether the pod has been active for too long.
func (o Observed) DeadlineExceeded() bool {
	left, ok := o.deadlineIn()
	return ok && left <= 0
}

func (o Observed) deadlineIn() (time.Duration, bool) {
	d, start := o.Pod.Spec.ActiveDeadlineSeconds, o.Pod.Status.StartTime
	if d == nil || start == nil {
		return 0, false
	}
	return start.Add(time.Duration(*d) * time.Second).Sub(o.Now), true
}

// Ending reports whether everything of the pod must stop.
func (o Observed) Ending() bool {
	return o.Removed || o.Pod.DeletionTimestamp != nil || terminal(o.Pod.Status.Phase) || o.DeadlineExceeded()
}

// Grace is the time the pod's containers get to end.
func (o Observed) Grace() time.Duration {
	s := int64(30)
	if p := o.Pod.Spec.TerminationGracePeriodSeconds; p != nil {
		s = *p
	}
	if p := o.Pod.DeletionGracePeriodSeconds; p != nil {
		s = *p
	}
	return time.Duration(s) * time.Second
}
