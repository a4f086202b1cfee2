package fakenode

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type decision int

const (
	nothing decision = iota
	run              // report it running
	remove           // delete it, it is to end
)

// decide says what a pod on a fake node waits for.
func decide(pod *corev1.Pod) decision {
	switch {
	case pod.DeletionTimestamp != nil:
		return remove
	case pod.Status.Phase == corev1.PodPending || pod.Status.Phase == "":
		return run
	}
	return nothing
}

// setRunning makes the status that of a pod all of whose containers run.
func setRunning(pod *corev1.Pod, hostIP, podIP string, now metav1.Time) {
	s := &pod.Status
	s.Phase = corev1.PodRunning
	s.ObservedGeneration = pod.Generation
	s.StartTime = &now
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	if pod.Spec.HostNetwork {
		podIP = hostIP
	}
	s.PodIP, s.PodIPs = podIP, []corev1.PodIP{{IP: podIP}}
	for _, t := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		setTrue(s, t, pod.Generation, now)
	}
	s.InitContainerStatuses, s.ContainerStatuses = nil, nil
	yes, no := true, false
	for _, c := range pod.Spec.InitContainers {
		st := status(pod, &c)
		if c.RestartPolicy != nil {
			st.State.Running, st.Started = &corev1.ContainerStateRunning{StartedAt: now}, &yes
		} else {
			st.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: st.ContainerID}
			st.Started = &no
		}
		s.InitContainerStatuses = append(s.InitContainerStatuses, st)
	}
	for _, c := range pod.Spec.Containers {
		st := status(pod, &c)
		st.State.Running, st.Started = &corev1.ContainerStateRunning{StartedAt: now}, &yes
		s.ContainerStatuses = append(s.ContainerStatuses, st)
	}
}

func status(pod *corev1.Pod, c *corev1.Container) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, Ready: true, ContainerID: "fake://" + string(pod.UID) + "/" + c.Name,
	}
}

func setTrue(s *corev1.PodStatus, t corev1.PodConditionType, generation int64, now metav1.Time) {
	c := corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, ObservedGeneration: generation, LastTransitionTime: now}
	i := slices.IndexFunc(s.Conditions, func(o corev1.PodCondition) bool { return o.Type == t })
	switch {
	case i < 0:
		s.Conditions = append(s.Conditions, c)
	case s.Conditions[i].Status != corev1.ConditionTrue:
		s.Conditions[i] = c
	}
}
