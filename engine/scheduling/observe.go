package scheduling

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/wasm/abi"
)

// What events can cure.
var (
	freed   = reasonSet(abi.ReasonPods, abi.ReasonCPU, abi.ReasonMemory, abi.ReasonResource, abi.ReasonPorts, abi.ReasonSpread, abi.ReasonPodAffinity, abi.ReasonExisting)
	arrived = reasonSet(abi.ReasonSpread, abi.ReasonPodAffinity)
)

// observe takes one event into the state.
func (s *Scheduler) observe(e event, now time.Time) {
	switch {
	case e.newNode != nil:
		s.queue.cured(s.cluster.setNode(e.newNode), now)
	case e.oldNode != nil:
		s.cluster.dropNode(e.oldNode.Name)
		s.queue.cured(reasonSet(abi.ReasonSpread), now)
	case e.newPod != nil:
		s.observePod(e.newPod, now)
	case e.oldPod != nil:
		s.forget(e.oldPod.UID)
		if s.cluster.unplace(e.oldPod.UID) {
			s.queue.cured(freed, now)
		}
	case e.spared != nil:
		if p := s.cluster.pods[e.spared.UID]; p != nil {
			p.doomed = false
		}
	case e.volumes:
		s.queue.cured(reasonVolumes, now)
	case e.asked != nil:
		s.answer(e.asked)
	case e.bound != nil:
		s.observeBound(e.bound, now)
	}
}

func (s *Scheduler) observePod(pod *corev1.Pod, now time.Time) {
	on := s.cluster.pods[pod.UID]
	switch {
	case finished(pod):
		s.forget(pod.UID)
		if s.cluster.unplace(pod.UID) {
			s.queue.cured(freed, now)
		}
	case pod.Spec.NodeName != "":
		s.forget(pod.UID)
		cl := s.cluster.classOf(pod)
		if on != nil && on.class == cl && on.node.name == pod.Spec.NodeName {
			on.pod, on.assumed = pod, false
			return
		}
		s.cluster.place(pod, cl, pod.Spec.NodeName, false)
		s.queue.cured(arrived, now)
	case on != nil:
		// Assumed: the API will say so soon, or the binding fails.
	case len(pod.Spec.SchedulingGates) > 0 || pod.DeletionTimestamp != nil:
		s.forget(pod.UID)
	case !s.setup.serves(s.config.Name, pod.Spec.SchedulerName):
		s.forget(pod.UID)
		s.foreign[pod.UID] = pod
	default:
		delete(s.foreign, pod.UID)
		s.enqueue(pod, now)
	}
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// enqueue queues a pod, holding its class while it waits.
func (s *Scheduler) enqueue(pod *corev1.Pod, now time.Time) {
	cl := s.cluster.classOf(pod)
	s.cluster.use(cl)
	if old, ok := s.queue.pods[pod.UID]; ok {
		defer s.cluster.release(old.class)
	}
	s.queue.add(pod, cl, now)
}

// forget takes a pod out of the queue.
func (s *Scheduler) forget(uid types.UID) {
	delete(s.foreign, uid)
	if p, ok := s.queue.pods[uid]; ok {
		s.queue.remove(uid)
		s.cluster.release(p.class)
	}
}
