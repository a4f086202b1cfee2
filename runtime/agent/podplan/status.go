package podplan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/qos"

	"github.com/pintle-io/pintle/runtime/container"
)

// Status decides what to report, given what was observed and planned. What
// others own in the status (conditions, claims) is kept.
func Status(o Observed, r Result) corev1.PodStatus {
	v := index(o)
	s := *o.Pod.Status.DeepCopy()
	s.ObservedGeneration = o.Pod.Generation
	if s.StartTime == nil {
		now := metav1.NewTime(o.Now).Rfc3339Copy()
		s.StartTime = &now
	}
	s.QOSClass = qos.GetPodQOS(o.Pod)
	s.HostIP, s.HostIPs = "", nil
	for _, ip := range o.Node.IPs {
		s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(o.Node.IPs) > 0 {
		s.HostIP = o.Node.IPs[0]
	}
	v.podIPs(&s)
	w := &statusWriter{view: v, r: r}
	s.InitContainerStatuses = w.list(o.Pod.Spec.InitContainers, true)
	s.ContainerStatuses = w.list(o.Pod.Spec.Containers, false)
	s.EphemeralContainerStatuses = w.list(ephemeral(o.Pod), false)
	s.Phase = v.phase(&s, r)
	if o.DeadlineExceeded() && !terminal(o.Pod.Status.Phase) {
		s.Reason = "DeadlineExceeded"
		s.Message = "Pod was active on the node longer than the specified deadline"
	}
	v.conditions(&s)
	return s
}

func ephemeral(pod *corev1.Pod) []corev1.Container {
	var out []corev1.Container
	for _, e := range pod.Spec.EphemeralContainers {
		out = append(out, corev1.Container(e.EphemeralContainerCommon))
	}
	return out
}

// podIPs takes the addresses of the running sandbox; a pod that has ended keeps
// those it had.
func (v *view) podIPs(s *corev1.PodStatus) {
	var ips []string
	switch {
	case v.sandbox == nil:
		return
	case v.Pod.Spec.HostNetwork:
		ips = v.Node.IPs
	default:
		ips = v.sandbox.IPs
	}
	s.PodIP, s.PodIPs = "", nil
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		s.PodIP = ips[0]
	}
}

type statusWriter struct {
	*view
	r Result
}

func (w *statusWriter) list(specs []corev1.Container, init bool) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range specs {
		out = append(out, w.container(&specs[i], init))
	}
	return out
}

func (w *statusWriter) container(c *corev1.Container, init bool) corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
	l := w.latest(c.Name)
	if l == nil {
		return w.neverMade(c, s)
	}
	s.RestartCount = int32(l.Attempt)
	s.Image, s.ImageID = l.Image, l.ImageID
	s.ContainerID = w.Node.RuntimeName + "://" + l.ID
	if prev := w.previous(c.Name); prev != nil {
		s.LastTerminationState.Terminated = w.terminated(prev)
	}
	started := false
	hold, held := w.r.Waiting[c.Name]
	switch {
	case l.State == container.Running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(l.StartedAt)}
		verdict := w.Verdicts[l.ID]
		// A plain init container is never ready before it has completed.
		started = verdict.Started && (!init || sidecar(c))
		s.Ready = started && verdict.Ready
		w.running(c, l, &s)
	case l.State == container.Created:
		s.State.Waiting = w.defaultWaiting()
	case held:
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: hold.Reason, Message: hold.Message}
		s.LastTerminationState.Terminated = w.terminated(l)
	default:
		s.State.Terminated = w.terminated(l)
		s.Ready = init && !sidecar(c) && l.ExitCode == 0
	}
	s.Started = &started
	return s
}

// running fills what only a running container has.
func (w *statusWriter) running(c *corev1.Container, l *container.Container, s *corev1.ContainerStatus) {
	w.resources(c, l, s)
	s.User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: l.UID, GID: l.GID, SupplementalGroups: l.Groups}}
	for _, m := range c.VolumeMounts {
		ms := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if m.RecursiveReadOnly != nil && *m.RecursiveReadOnly != corev1.RecursiveReadOnlyDisabled {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			ms.RecursiveReadOnly = &mode
		}
		s.VolumeMounts = append(s.VolumeMounts, ms)
	}
}

// neverMade reports a container that the machine does not have: not yet, or
// no more.
func (w *statusWriter) neverMade(c *corev1.Container, s corev1.ContainerStatus) corev1.ContainerStatus {
	started := false
	s.Started = &started
	old := reported(&w.Pod.Status, c.Name)
	if old != nil && (old.State.Terminated != nil || old.State.Running != nil) {
		kept := *old.DeepCopy()
		kept.Ready = kept.Ready && kept.State.Terminated != nil
		kept.Started = &started
		if kept.State.Running != nil {
			kept.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "ContainerStatusUnknown",
				Message:     "The container could not be located when the pod was terminated",
				ContainerID: kept.ContainerID,
			}}
		}
		return kept
	}
	if old != nil {
		s.RestartCount, s.LastTerminationState = old.RestartCount, old.LastTerminationState
	}
	if h, ok := w.r.Waiting[c.Name]; ok {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: h.Reason, Message: h.Message}
	} else if h, ok := w.Holds[c.Name]; ok {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: h.Reason, Message: h.Message}
	} else {
		s.State.Waiting = w.defaultWaiting()
	}
	return s
}

func (w *statusWriter) defaultWaiting() *corev1.ContainerStateWaiting {
	if len(w.Pod.Spec.InitContainers) > 0 {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

func (w *statusWriter) terminated(c *container.Container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: int32(c.ExitCode), Reason: "Error", Message: w.Messages[c.ID],
		StartedAt: metav1.NewTime(c.StartedAt), FinishedAt: metav1.NewTime(c.FinishedAt),
		ContainerID: w.Node.RuntimeName + "://" + c.ID,
	}
	switch {
	case c.Lost:
		t.Reason = "ContainerStatusUnknown"
		t.Message = "The container could not be located when the node came back"
	case c.StartError != "":
		t.Reason, t.Message = "StartError", c.StartError
	case c.OOMKilled:
		t.Reason = "OOMKilled"
	case c.ExitCode == 0:
		t.Reason = "Completed"
	}
	return t
}

// phase counts containers as Kubernetes does.
func (v *view) phase(s *corev1.PodStatus, r Result) corev1.PodPhase {
	if terminal(v.Pod.Status.Phase) {
		return v.Pod.Status.Phase
	}
	p := v.countPhase(s, r)
	if terminal(p) && v.anyRunning() {
		// Sidecars still end.
		return corev1.PodRunning
	}
	return p
}

func (v *view) countPhase(s *corev1.PodStatus, r Result) corev1.PodPhase {
	pendingInit, failedInit := v.countInit(s)
	var waiting, running, stopped, succeeded int
	for _, c := range s.ContainerStatuses {
		last := c.LastTerminationState.Terminated
		switch {
		case c.State.Running != nil:
			running++
		case c.State.Terminated != nil:
			stopped++
			if c.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case last != nil:
			stopped++
		default:
			waiting++
		}
	}
	ended := v.Ending() && r.Finished
	switch {
	case v.DeadlineExceeded() && r.Finished:
		return corev1.PodFailed
	case failedInit > 0 && (v.Pod.Spec.RestartPolicy == corev1.RestartPolicyNever || ended):
		return corev1.PodFailed
	case ended && stopped > 0 && running == 0 && stopped == succeeded && waiting == 0:
		return corev1.PodSucceeded
	case ended && running == 0:
		// Also if nothing of it ever ran: who waits for the end of a pod must see one.
		return corev1.PodFailed
	case pendingInit > 0 || waiting > 0:
		return corev1.PodPending
	case running > 0:
		return corev1.PodRunning
	case stopped > 0:
		return v.stoppedPhase(stopped == succeeded, r)
	}
	return corev1.PodPending
}

func (v *view) countInit(s *corev1.PodStatus) (pending, failed int) {
	for i, c := range s.InitContainerStatuses {
		switch last := c.LastTerminationState.Terminated; {
		case sidecar(&v.Pod.Spec.InitContainers[i]):
			if c.State.Waiting != nil && last == nil {
				pending++
			}
		case c.State.Terminated != nil:
			if c.State.Terminated.ExitCode != 0 {
				failed++
			}
		default:
			pending++
		}
	}
	return pending, failed
}

func (v *view) stoppedPhase(allSucceeded bool, r Result) corev1.PodPhase {
	switch {
	case !r.Finished && v.Pod.Spec.RestartPolicy != corev1.RestartPolicyNever && !(allSucceeded && v.Pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure):
		return corev1.PodRunning
	case v.Pod.Spec.RestartPolicy == corev1.RestartPolicyAlways && !hasOwnPolicies(v.Pod):
		return corev1.PodRunning
	case allSucceeded:
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}

// conditions sets those this node owns.
func (v *view) conditions(s *corev1.PodStatus) {
	set := func(t corev1.PodConditionType, ok bool, reason, message string) {
		v.setCondition(s, t, ok, reason, message)
	}
	// A pod that has ended has no sandbox, one on the host's network no address.
	set(corev1.PodReadyToStartContainers, v.sandbox != nil && (v.Pod.Spec.HostNetwork || len(v.sandbox.IPs) > 0), "", "")
	done := map[corev1.PodPhase]string{corev1.PodSucceeded: "PodCompleted", corev1.PodFailed: "PodFailed"}[s.Phase]

	if missing := v.uninitialized(s); len(missing) == 0 || s.Phase == corev1.PodSucceeded {
		reason := ""
		if s.Phase == corev1.PodSucceeded {
			reason = done
		}
		set(corev1.PodInitialized, true, reason, "")
	} else {
		set(corev1.PodInitialized, false, "ContainersNotInitialized", "containers with incomplete status: ["+strings.Join(missing, " ")+"]")
	}
	unready := unreadyContainers(s)
	message := "containers with unready status: [" + strings.Join(unready, " ") + "]"
	switch gates := v.closedGates(); {
	case done != "":
		set(corev1.PodReady, false, done, "")
		set(corev1.ContainersReady, false, done, "")
	case len(unready) > 0:
		set(corev1.PodReady, false, "ContainersNotReady", message)
		set(corev1.ContainersReady, false, "ContainersNotReady", message)
	case len(gates) > 0:
		set(corev1.PodReady, false, "ReadinessGatesNotReady", strings.Join(gates, ", "))
		set(corev1.ContainersReady, true, "", "")
	default:
		set(corev1.PodReady, true, "", "")
		set(corev1.ContainersReady, true, "", "")
	}
	set(corev1.PodScheduled, true, "", "")
	v.resizeConditions(s)
}

func (v *view) uninitialized(s *corev1.PodStatus) []string {
	var out []string
	for i, c := range s.InitContainerStatuses {
		if sidecar(&v.Pod.Spec.InitContainers[i]) && !*c.Started || !sidecar(&v.Pod.Spec.InitContainers[i]) && !c.Ready {
			out = append(out, c.Name)
		}
	}
	return out
}

func unreadyContainers(s *corev1.PodStatus) []string {
	var out []string
	for _, c := range s.ContainerStatuses {
		if !c.Ready {
			out = append(out, c.Name)
		}
	}
	return out
}

func (v *view) closedGates() []string {
	var out []string
	for _, g := range v.Pod.Spec.ReadinessGates {
		i := slices.IndexFunc(v.Pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == g.ConditionType })
		switch {
		case i < 0:
			out = append(out, `corresponding condition of pod readiness gate "`+string(g.ConditionType)+`" does not exist.`)
		case v.Pod.Status.Conditions[i].Status != corev1.ConditionTrue:
			out = append(out, `the status of pod readiness gate "`+string(g.ConditionType)+`" is not "True", but `+string(v.Pod.Status.Conditions[i].Status))
		}
	}
	return out
}

func (v *view) setCondition(s *corev1.PodStatus, t corev1.PodConditionType, ok bool, reason, message string) {
	c := corev1.PodCondition{
		Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: v.Pod.Generation,
		LastTransitionTime: metav1.NewTime(v.Now).Rfc3339Copy(),
	}
	if ok {
		c.Status = corev1.ConditionTrue
	}
	i := slices.IndexFunc(s.Conditions, func(o corev1.PodCondition) bool { return o.Type == t })
	if i < 0 {
		s.Conditions = append(s.Conditions, c)
		return
	}
	if old := s.Conditions[i]; old.Status == c.Status {
		c.LastTransitionTime, c.LastProbeTime = old.LastTransitionTime, old.LastProbeTime
	}
	s.Conditions[i] = c
}
