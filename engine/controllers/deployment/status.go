package deployment

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of the Progressing condition.
const (
	reasonAvailable = "NewReplicaSetAvailable"
	reasonUpdated   = "ReplicaSetUpdated"
	reasonTimedOut  = "ProgressDeadlineExceeded"
	reasonPaused    = "DeploymentPaused"
	reasonResumed   = "DeploymentResumed"
)

// status computes the status that the step's snapshot shows and writes it if it
// differs.
func (p *plan) status() {
	old := p.was.Status
	s := &p.d.Status
	all := p.all()
	s.ObservedGeneration = p.d.Generation
	s.Replicas = total(all, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.Replicas })
	s.ReadyReplicas = total(all, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.ReadyReplicas })
	s.AvailableReplicas = total(all, available)
	s.UnavailableReplicas = max(total(all, size)-s.AvailableReplicas, 0)
	s.UpdatedReplicas = 0
	if p.newRS != nil {
		s.UpdatedReplicas = p.newRS.Status.Replicas
	}
	s.TerminatingReplicas = terminating(all)
	p.availability()
	if p.d.DeletionTimestamp == nil && !p.d.Spec.Paused && !p.sizing && !p.staged {
		p.progressing(&old)
	}
	p.replicaFailure()
	p.addStatus()
}

// terminating adds up the terminating pods, nil while a ReplicaSet has not counted.
func terminating(sets []*appsv1.ReplicaSet) *int32 {
	var n int32
	for _, rs := range sets {
		if rs.Status.TerminatingReplicas == nil {
			return nil
		}
		n += *rs.Status.TerminatingReplicas
	}
	return &n
}

func (p *plan) availability() {
	c := newCondition(appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable",
		"Deployment does not have minimum availability.", p.now)
	if p.d.Status.AvailableReplicas >= minAvailable(p.d) {
		c.Status, c.Reason, c.Message = corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability."
	}
	setCondition(&p.d.Status, c)
}

// progressing keeps the Progressing condition: complete, moving, or stuck for
// longer than the deadline.
func (p *plan) progressing(old *appsv1.DeploymentStatus) {
	s := &p.d.Status
	if !hasDeadline(p.d) {
		removeCondition(s, appsv1.DeploymentProgressing)
		return
	}
	current := condition(s, appsv1.DeploymentProgressing)
	if s.Replicas == s.UpdatedReplicas && current != nil && current.Reason == reasonAvailable {
		return
	}
	name := fmt.Sprintf("Deployment %q", p.d.Name)
	if p.newRS != nil {
		name = fmt.Sprintf("ReplicaSet %q", p.newRS.Name)
	}
	switch {
	case complete(p.d, s):
		p.progress(corev1.ConditionTrue, reasonAvailable, name+" has successfully progressed.")
	case moved(old, s):
		p.keepMoving(current, name)
	case timedOut(p.d, current, p.now):
		p.progress(corev1.ConditionFalse, reasonTimedOut, name+" has timed out progressing.")
	}
	p.recheck()
}

// keepMoving renews the update time of the condition even if nothing else in it
// changed: the deadline counts from there.
func (p *plan) keepMoving(current *appsv1.DeploymentCondition, name string) {
	c := newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonUpdated, name+" is progressing.", p.now)
	if current != nil && current.Status == corev1.ConditionTrue {
		c.LastTransitionTime = current.LastTransitionTime
	}
	removeCondition(&p.d.Status, appsv1.DeploymentProgressing)
	setCondition(&p.d.Status, c)
}

// recheck asks for a plan when the deadline will have passed.
func (p *plan) recheck() {
	c := condition(&p.d.Status, appsv1.DeploymentProgressing)
	if c == nil || c.Reason == reasonAvailable || c.Reason == reasonTimedOut || complete(p.d, &p.d.Status) {
		return
	}
	deadline := c.LastUpdateTime.Add(time.Duration(*p.d.Spec.ProgressDeadlineSeconds) * time.Second)
	p.RequeueIn(max(deadline.Sub(p.now), 0) + time.Second)
}

// pauseCondition notes pausing and resuming, so that the deadline does not run
// meanwhile.
func (p *plan) pauseCondition() {
	if !hasDeadline(p.d) {
		return
	}
	current := condition(&p.d.Status, appsv1.DeploymentProgressing)
	if current != nil && current.Reason == reasonTimedOut {
		return
	}
	noted := current != nil && current.Reason == reasonPaused
	switch {
	case p.d.Spec.Paused && !noted:
		p.progress(corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
	case !p.d.Spec.Paused && noted:
		p.progress(corev1.ConditionUnknown, reasonResumed, "Deployment is resumed")
	}
}

// replicaFailure passes a ReplicaSet's failure on, the new one's first.
func (p *plan) replicaFailure() {
	removeCondition(&p.d.Status, appsv1.DeploymentReplicaFailure)
	sets := p.all()
	for i := len(sets) - 1; i >= 0; i-- {
		for _, c := range sets[i].Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				p.d.Status.Conditions = append(p.d.Status.Conditions, appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: c.Status, Reason: c.Reason, Message: c.Message,
					LastTransitionTime: c.LastTransitionTime, LastUpdateTime: c.LastTransitionTime,
				})
				return
			}
		}
	}
}

func (p *plan) progress(status corev1.ConditionStatus, reason, message string) {
	setCondition(&p.d.Status, newCondition(appsv1.DeploymentProgressing, status, reason, message, p.now))
}

// complete reports that all pods are of the new template, available, and seen.
func complete(d *appsv1.Deployment, s *appsv1.DeploymentStatus) bool {
	return s.UpdatedReplicas == replicas(d) && s.Replicas == replicas(d) &&
		s.AvailableReplicas == replicas(d) && s.ObservedGeneration >= d.Generation
}

func moved(old, s *appsv1.DeploymentStatus) bool {
	return s.UpdatedReplicas > old.UpdatedReplicas ||
		s.Replicas-s.UpdatedReplicas < old.Replicas-old.UpdatedReplicas ||
		s.ReadyReplicas > old.ReadyReplicas || s.AvailableReplicas > old.AvailableReplicas
}

func timedOut(d *appsv1.Deployment, c *appsv1.DeploymentCondition, now time.Time) bool {
	if c == nil || c.Reason == reasonAvailable {
		return false
	}
	if c.Reason == reasonTimedOut {
		return true
	}
	return c.LastUpdateTime.Add(time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second).Before(now)
}

// hasDeadline reports that there is a progress deadline; the largest number means
// none.
func hasDeadline(d *appsv1.Deployment) bool {
	return d.Spec.ProgressDeadlineSeconds != nil && *d.Spec.ProgressDeadlineSeconds != 1<<31-1
}

func condition(s *appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == kind {
			return &s.Conditions[i]
		}
	}
	return nil
}

func newCondition(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) appsv1.DeploymentCondition {
	at := metav1.NewTime(now)
	return appsv1.DeploymentCondition{Type: kind, Status: status, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at}
}

// setCondition adds or replaces a condition, unless status and reason are the
// same; the transition time moves only with the status.
func setCondition(s *appsv1.DeploymentStatus, c appsv1.DeploymentCondition) {
	if old := condition(s, c.Type); old != nil {
		if old.Status == c.Status && old.Reason == c.Reason {
			return
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	removeCondition(s, c.Type)
	s.Conditions = append(s.Conditions, c)
}

func removeCondition(s *appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType) {
	var kept []appsv1.DeploymentCondition
	for _, c := range s.Conditions {
		if c.Type != kind {
			kept = append(kept, c)
		}
	}
	s.Conditions = kept
}
