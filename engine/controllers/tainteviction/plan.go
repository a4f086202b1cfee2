// Package tainteviction deletes pods from nodes with NoExecute taints that they do
// not tolerate, or tolerate for a while only.
package tainteviction

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is the snapshot of one pod and the taints of its node.
type Observed struct {
	Pod    *corev1.Pod
	Taints []corev1.Taint
	Now    time.Time
}

// Plan deletes the pod once its tolerations have run out. The time counts from
// when the taint was added, so a restart of the server does not prolong it.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Pod.DeletionTimestamp != nil || podset.IsFinished(o.Pod) {
		return result
	}
	due, evict := deadline(o)
	if !evict {
		return result
	}
	if wait := due.Sub(o.Now); wait > 0 {
		result.RequeueIn(wait)
		return result
	}
	marked := o.Pod.DeepCopy()
	if podset.Condition(marked, corev1.DisruptionTarget) == nil {
		marked.Status.Conditions = append(marked.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(o.Now),
			Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
		})
		result.Add(reconcile.UpdateStatus{Object: marked})
	}
	result.Add(
		reconcile.Event{About: o.Pod, Type: corev1.EventTypeNormal, Reason: "TaintManagerEviction",
			Message: fmt.Sprintf("Marking for deletion Pod %s/%s", o.Pod.Namespace, o.Pod.Name)},
		reconcile.DeleteOf(podset.Resource, o.Pod),
	)
	return result
}

// deadline is when the pod must go; false if it may stay for ever.
func deadline(o Observed) (due time.Time, evict bool) {
	for i := range o.Taints {
		taint := &o.Taints[i]
		if taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		at, limited := tolerated(o, taint)
		if limited && (!evict || at.Before(due)) {
			due, evict = at, true
		}
	}
	return due, evict
}

// tolerated is until when the pod bears one taint; false if for ever. Of several
// matching tolerations the shortest counts.
func tolerated(o Observed, taint *corev1.Taint) (until time.Time, limited bool) {
	start := o.Now
	if taint.TimeAdded != nil {
		start = taint.TimeAdded.Time
	}
	matched := false
	for i := range o.Pod.Spec.Tolerations {
		t := &o.Pod.Spec.Tolerations[i]
		if !tolerates(t, taint) {
			continue
		}
		matched = true
		if t.TolerationSeconds == nil {
			continue
		}
		at := start.Add(time.Duration(max(*t.TolerationSeconds, 0)) * time.Second)
		if !limited || at.Before(until) {
			until, limited = at, true
		}
	}
	if !matched {
		return o.Now, true
	}
	return until, limited
}

func tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return t.Key != "" && t.Value == taint.Value
	}
	return false
}
