package fakenode

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// step is what is to be done about a pod now, and when to look again.
type step struct {
	status *corev1.PodStatus // report this
	remove bool              // the pod has stopped: delete it
	after  time.Duration     // look again then; zero means at the next change
}

// plan decides the next step of a pod that is bound to a fake node.
func plan(pod *corev1.Pod, ip, hostIP string, delay time.Duration, now time.Time) step {
	switch {
	case pod.DeletionTimestamp != nil:
		return step{remove: true}
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return step{}
	case pod.Status.Phase == corev1.PodRunning:
		if !endsByItself(pod) {
			return step{}
		}
		started := now
		if pod.Status.StartTime != nil {
			started = pod.Status.StartTime.Time
		}
		if wait := started.Add(delay).Sub(now); wait > 0 {
			return step{after: wait}
		}
		return step{status: status(pod, ip, hostIP, corev1.PodSucceeded, now)}
	}
	if wait := boundAt(pod).Add(delay).Sub(now); wait > 0 {
		return step{after: wait}
	}
	return step{status: status(pod, ip, hostIP, corev1.PodRunning, now)}
}

// endsByItself: a Job's containers are taken to be done soon after they start.
func endsByItself(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "Job" && pod.Spec.RestartPolicy != corev1.RestartPolicyAlways
}

func boundAt(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

func status(pod *corev1.Pod, ip, hostIP string, phase corev1.PodPhase, now time.Time) *corev1.PodStatus {
	at := metav1.NewTime(now)
	s := pod.Status.DeepCopy()
	s.Phase, s.ObservedGeneration = phase, pod.Generation
	s.PodIP, s.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	if s.StartTime == nil {
		s.StartTime = &at
	}
	ready, reason := corev1.ConditionTrue, ""
	if phase == corev1.PodSucceeded {
		ready, reason = corev1.ConditionFalse, "PodCompleted"
	}
	for _, c := range []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason},
		{Type: corev1.PodReady, Status: ready, Reason: reason},
	} {
		setCondition(s, c, pod.Generation, at)
	}
	s.InitContainerStatuses = containers(pod, pod.Spec.InitContainers, corev1.PodSucceeded, at)
	s.ContainerStatuses = containers(pod, pod.Spec.Containers, phase, at)
	return s
}

func setCondition(s *corev1.PodStatus, c corev1.PodCondition, generation int64, at metav1.Time) {
	c.LastTransitionTime, c.ObservedGeneration = at, generation
	for i := range s.Conditions {
		if s.Conditions[i].Type == c.Type {
			s.Conditions[i] = c
			return
		}
	}
	s.Conditions = append(s.Conditions, c)
}

func containers(pod *corev1.Pod, specs []corev1.Container, phase corev1.PodPhase, at metav1.Time) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for _, c := range specs {
		started := phase == corev1.PodRunning
		cs := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: "fake://" + c.Image, Ready: started, Started: &started,
			ContainerID: fmt.Sprintf("fake://%s-%s", pod.UID, c.Name),
		}
		if started {
			cs.State.Running = &corev1.ContainerStateRunning{StartedAt: at}
		} else {
			cs.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: at, FinishedAt: at, ContainerID: cs.ContainerID}
		}
		out = append(out, cs)
	}
	return out
}
