// Package pvcprotection keeps a PersistentVolumeClaim that is being deleted until
// no pod uses it: it holds the claim's finalizer.
package pvcprotection

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Finalizer is what admission puts on each claim.
const Finalizer = "kubernetes.io/pvc-protection"

// Observed is the snapshot of one claim. Pods may use it or not.
type Observed struct {
	Claim *corev1.PersistentVolumeClaim
	Pods  []*corev1.Pod
	Now   time.Time
}

// Plan decides whether the claim has the finalizer, and says since when no pod uses
// a bound one.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	o.unused(&result)
	has := slices.Contains(o.Claim.Finalizers, Finalizer)
	going := o.Claim.DeletionTimestamp != nil
	if has != going {
		return result
	}
	updated := o.Claim.DeepCopy()
	if !going {
		updated.Finalizers = append(updated.Finalizers, Finalizer)
		result.Add(reconcile.Update{Object: updated})
		return result
	}
	if slices.ContainsFunc(o.Pods, func(pod *corev1.Pod) bool { return holds(pod, o.Claim) }) {
		return result
	}
	updated.Finalizers = slices.DeleteFunc(updated.Finalizers, func(f string) bool { return f == Finalizer })
	result.Add(reconcile.Update{Object: updated})
	return result
}

// unused keeps the Unused condition of a bound claim.
func (o *Observed) unused(result *reconcile.Result) {
	if o.Claim.DeletionTimestamp != nil || o.Claim.Status.Phase != corev1.ClaimBound {
		return
	}
	next := corev1.PersistentVolumeClaimCondition{
		Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(o.Now),
		Reason: "NoPodsUsingPVC", Message: "No pods are currently referencing this PVC",
	}
	if slices.ContainsFunc(o.Pods, func(pod *corev1.Pod) bool {
		return pod.Namespace == o.Claim.Namespace && !podset.IsFinished(pod) && slices.Contains(podclaim.Names(pod), o.Claim.Name)
	}) {
		next.Status, next.Reason, next.Message = corev1.ConditionFalse, "PodUsingPVC", "A pod is currently referencing this PVC"
	}
	updated := o.Claim.DeepCopy()
	i := slices.IndexFunc(updated.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool { return c.Type == next.Type })
	switch {
	case i < 0:
		updated.Status.Conditions = append(updated.Status.Conditions, next)
	case updated.Status.Conditions[i].Status == next.Status:
		return
	default:
		updated.Status.Conditions[i] = next
	}
	result.Add(reconcile.UpdateStatus{Object: updated})
}

// holds reports that a pod may have the claim's volume mounted: it has a node.
// The scheduler places no pod whose claim is being deleted.
func holds(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	return pod.Namespace == claim.Namespace && pod.Spec.NodeName != "" && slices.Contains(podclaim.Names(pod), claim.Name)
}
