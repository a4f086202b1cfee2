package agent

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
)

// admitted decides once whether the worker's pod may run here, whoever bound it. A pod
// that runs already, or did before the agent was started anew, may.
func (w *worker) admitted(o podplan.Observed) bool {
	if w.admission != undecided {
		return w.admission == accepted
	}
	w.admission = accepted
	pod := o.Pod
	known := len(o.State.Sandboxes) > 0 || len(o.State.Containers) > 0 || pod.Status.StartTime != nil
	if known || o.Ending() {
		w.a.hold(pod)
		return true
	}
	if r := w.a.admit(pod); r != nil {
		w.admission = refused
		w.event(pod, nil, corev1.EventTypeWarning, r.Reason, r.Message)
		w.a.status.set(pod, podplan.Rejected(pod, r))
	}
	return w.admission == accepted
}

type admission int

const (
	undecided admission = iota
	accepted
	refused
)

// admit decides over new pods one after the other, so that two cannot take the same
// room, and takes the room of those it admits.
func (a *Agent) admit(pod *corev1.Pod) *podplan.Rejection {
	a.rooms.Lock()
	defer a.rooms.Unlock()
	node := a.node()
	if node == nil {
		return nil
	}
	rejection := podplan.Admit(node, a.neighbours(pod.UID), pod)
	if rejection == nil {
		a.rooms.held[pod.UID] = true
	}
	return rejection
}

// neighbours are the other pods that have room here. Called with rooms locked.
func (a *Agent) neighbours(of types.UID) (others []*corev1.Pod) {
	for _, other := range a.pods() {
		here := a.rooms.held[other.UID] || other.Status.StartTime != nil
		ended := other.Status.Phase == corev1.PodSucceeded || other.Status.Phase == corev1.PodFailed
		if other.UID != of && here && !ended {
			others = append(others, other)
		}
	}
	return others
}

func (a *Agent) hold(pod *corev1.Pod) {
	a.rooms.Lock()
	defer a.rooms.Unlock()
	a.rooms.held[pod.UID] = true
}

func (a *Agent) leave(uid types.UID) {
	a.rooms.Lock()
	defer a.rooms.Unlock()
	delete(a.rooms.held, uid)
}
