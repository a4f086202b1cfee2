// Package pvcprotection keeps a PersistentVolumeClaim that is being deleted until
// no pod uses it: it holds the claim's finalizer.
package pvcprotection

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Finalizer is what admission puts on each claim.
const Finalizer = "kubernetes.io/pvc-protection"

// Observed is the snapshot of one claim. Pods may use it or not; they are looked
// at only when the claim is being deleted.
type Observed struct {
	Claim *corev1.PersistentVolumeClaim
	Pods  []*corev1.Pod
}

// Plan decides whether the claim has the finalizer.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
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

// holds reports that a pod may have the claim's volume mounted: it has a node.
// The scheduler places no pod whose claim is being deleted.
func holds(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	return pod.Namespace == claim.Namespace && pod.Spec.NodeName != "" && slices.Contains(podclaim.Names(pod), claim.Name)
}
