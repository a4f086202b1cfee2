package core

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis"
)

func podColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Ready", "The aggregate readiness state of this pod for accepting traffic.", func(p *corev1.Pod) string {
			s := summarize(p)
			return fmt.Sprintf("%d/%d", s.ready, s.total)
		}),
		apis.Text("Status", "The aggregate status of the containers in this pod.", func(p *corev1.Pod) string { return summarize(p).reason }),
		apis.Text("Restarts", "How often containers were restarted, and when the last one was.", func(p *corev1.Pod) string { return summarize(p).restartCell() }),
		apis.AgeColumn(),
		apis.Text("IP", "The first address of the pod.", podIP).Wide(),
		apis.Text("Node", "The node the pod is assigned to.", func(p *corev1.Pod) string { return apis.OrNone(p.Spec.NodeName) }).Wide(),
		apis.Text("Nominated Node", "The node held free for the pod by preemption.", func(p *corev1.Pod) string { return apis.OrNone(p.Status.NominatedNodeName) }).Wide(),
		apis.Text("Readiness Gates", "Readiness gates that are true, of all.", readinessGates).Wide(),
	}
}

func podIP(p *corev1.Pod) string {
	if len(p.Status.PodIPs) > 0 {
		return p.Status.PodIPs[0].IP
	}
	return apis.OrNone(p.Status.PodIP)
}

func readinessGates(p *corev1.Pod) string {
	if len(p.Spec.ReadinessGates) == 0 {
		return "<none>"
	}
	ready := 0
	for _, gate := range p.Spec.ReadinessGates {
		if conditionIs(p.Status.Conditions, gate.ConditionType, corev1.ConditionTrue) {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(p.Spec.ReadinessGates))
}

// podSummary is what the pod table says about all containers together.
type podSummary struct {
	ready, total int
	reason       string
	restarts     int
	lastRestart  metav1.Time
}

func (s podSummary) restartCell() string {
	if s.restarts == 0 || s.lastRestart.IsZero() {
		return strconv.Itoa(s.restarts)
	}
	return fmt.Sprintf("%d (%s ago)", s.restarts, apis.Since(s.lastRestart))
}

func (s *podSummary) countRestarts(c *corev1.ContainerStatus) {
	s.restarts += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && s.lastRestart.Before(&t.FinishedAt) {
		s.lastRestart = t.FinishedAt
	}
}

func summarize(pod *corev1.Pod) podSummary {
	s := podSummary{total: len(pod.Spec.Containers), reason: string(pod.Status.Phase)}
	if pod.Status.Reason != "" {
		s.reason = pod.Status.Reason
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	sidecars := podSummary{}
	initializing := s.addInit(pod, &sidecars)
	if !initializing || conditionIs(pod.Status.Conditions, corev1.PodInitialized, corev1.ConditionTrue) {
		s.restarts, s.lastRestart = sidecars.restarts, sidecars.lastRestart
		s.addContainers(pod)
	}
	switch {
	case pod.DeletionTimestamp == nil:
	case pod.Status.Reason == "NodeLost":
		s.reason = "Unknown"
	case pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed:
		s.reason = "Terminating"
	}
	return s
}

// addInit reports whether an init container is still to finish; the restarts of
// sidecars are counted apart, because they go on counting afterwards.
func (s *podSummary) addInit(pod *corev1.Pod, sidecars *podSummary) bool {
	restartable := map[string]bool{}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; isSidecar(c) {
			restartable[c.Name] = true
			s.total++
		}
	}
	for i := range pod.Status.InitContainerStatuses {
		c := &pod.Status.InitContainerStatuses[i]
		s.countRestarts(c)
		if restartable[c.Name] {
			sidecars.countRestarts(c)
		}
		state := c.State
		switch {
		case state.Terminated != nil && state.Terminated.ExitCode == 0:
			continue
		case restartable[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case state.Terminated != nil:
			s.reason = "Init:" + terminationReason(state.Terminated)
		case state.Waiting != nil && state.Waiting.Reason != "" && state.Waiting.Reason != "PodInitializing":
			s.reason = "Init:" + state.Waiting.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		return true
	}
	return false
}

func (s *podSummary) addContainers(pod *corev1.Pod) {
	running := false
	for i := len(pod.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &pod.Status.ContainerStatuses[i]
		s.countRestarts(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = terminationReason(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason == "Completed" && running {
		s.reason = "NotReady"
		if conditionIs(pod.Status.Conditions, corev1.PodReady, corev1.ConditionTrue) {
			s.reason = "Running"
		}
	}
}

func terminationReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", t.ExitCode)
	}
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func conditionIs(conditions []corev1.PodCondition, t corev1.PodConditionType, status corev1.ConditionStatus) bool {
	for i := range conditions {
		if conditions[i].Type == t {
			return conditions[i].Status == status
		}
	}
	return false
}
