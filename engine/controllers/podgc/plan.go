// Package podgc removes pods that no node agent will ever remove: those bound to a
// node that no longer exists, and those deleted before they were bound.
package podgc

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// quarantine is how long a node may be missing before its pods are given up.
const quarantine = 40 * time.Second

// Observed is the snapshot of one pod.
type Observed struct {
	Pod *corev1.Pod
	// NodeMissingSince is when the pod's node was first found missing; zero if it
	// exists or the pod has none.
	NodeMissingSince time.Time
	Now              time.Time
}

// Plan removes the pod if nobody else will.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	remove := reconcile.DeleteOf(podset.Resource, o.Pod)
	remove.GracePeriodSeconds = ptr.To(int64(0))
	switch {
	case o.Pod.Spec.NodeName == "":
		if o.Pod.DeletionTimestamp != nil {
			result.Add(remove)
		}
	case !o.NodeMissingSince.IsZero():
		if wait := o.NodeMissingSince.Add(quarantine).Sub(o.Now); wait > 0 {
			result.RequeueIn(wait)
			return result
		}
		if !podset.IsFinished(o.Pod) {
			result.Add(reconcile.UpdateStatus{Object: failed(o.Pod, o.Now)})
		}
		result.Add(remove)
	}
	return result
}

func failed(pod *corev1.Pod, now time.Time) *corev1.Pod {
	out := pod.DeepCopy()
	out.Status.Phase = corev1.PodFailed
	if podset.Condition(out, corev1.DisruptionTarget) == nil {
		out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now),
			Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
		})
	}
	return out
}
