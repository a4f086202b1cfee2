package resourceclaim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var claims = resourcev1.SchemeGroupVersion.WithResource("resourceclaims")

// ClaimObserved is the snapshot of one claim. Pods are those that it is reserved
// for and the one that owns it, by name; what is not among them does not exist.
type ClaimObserved struct {
	Claim *resourcev1.ResourceClaim
	Pods  map[string]*corev1.Pod
}

// PlanClaim drops reservations of pods that have ended or gone. With the last one
// goes the allocation, and the finalizer that protects it; a claim that was made
// for a pod goes once the pod has ended.
func PlanClaim(o ClaimObserved) reconcile.Result {
	var result reconcile.Result
	updated := o.Claim.DeepCopy()
	updated.Status.ReservedFor = slices.DeleteFunc(updated.Status.ReservedFor, o.stale)
	freed := len(updated.Status.ReservedFor) < len(o.Claim.Status.ReservedFor)
	unused := len(updated.Status.ReservedFor) == 0
	protected := slices.Index(updated.Finalizers, resourcev1.Finalizer)
	giveBack := unused && protected >= 0 && (freed || updated.DeletionTimestamp != nil)
	if giveBack {
		updated.Status.Allocation = nil
	}
	if freed || giveBack && o.Claim.Status.Allocation != nil {
		result.Add(reconcile.UpdateStatus{Object: updated})
	}
	if giveBack {
		bare := updated.DeepCopy()
		bare.Finalizers = slices.Delete(bare.Finalizers, protected, protected+1)
		result.Add(reconcile.Update{Object: bare})
	}
	if unused && o.Claim.DeletionTimestamp == nil && o.ownerEnded() {
		result.Add(reconcile.DeleteOf(claims, o.Claim))
	}
	return result
}

// stale reports that a reservation is for a pod that needs it no more. Whatever
// else may hold a reservation is not ours to judge.
func (o *ClaimObserved) stale(ref resourcev1.ResourceClaimConsumerReference) bool {
	if ref.APIGroup != "" || ref.Resource != "pods" {
		return false
	}
	pod := o.Pods[ref.Name]
	return pod == nil || pod.UID != ref.UID || ended(pod)
}

// ownerEnded reports that the claim was made for a pod that has ended or was
// replaced. One that is gone is the garbage collector's business.
func (o *ClaimObserved) ownerEnded() bool {
	for _, owner := range o.Claim.OwnerReferences {
		if ptr.Deref(owner.Controller, false) && owner.APIVersion == "v1" && owner.Kind == "Pod" {
			pod := o.Pods[owner.Name]
			return pod != nil && (pod.UID != owner.UID || ended(pod))
		}
	}
	return false
}

// ended: nothing of the pod runs, or ever will.
func ended(pod *corev1.Pod) bool {
	return podset.IsFinished(pod) || pod.DeletionTimestamp != nil && pod.Spec.NodeName == ""
}
