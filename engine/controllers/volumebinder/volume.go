package volumebinder

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// VolumeObserved is the snapshot of one volume. Claim is what its claimRef names;
// nil if there is no claim of that name.
type VolumeObserved struct {
	Volume *corev1.PersistentVolume
	Claim  *corev1.PersistentVolumeClaim
	Now    time.Time
}

// PlanVolume decides the phase of one volume, and takes back a promise that the
// claim did not accept.
func PlanVolume(o VolumeObserved) reconcile.Result {
	var result reconcile.Result
	ref := o.Volume.Spec.ClaimRef
	switch {
	case ref == nil || ref.UID == "":
		setPhase(&result, o, corev1.VolumeAvailable, "")
	case o.Claim == nil || o.Claim.UID != ref.UID:
		released(&result, o)
	case o.Claim.Spec.VolumeName == o.Volume.Name:
		setPhase(&result, o, corev1.VolumeBound, "")
	case o.Claim.Spec.VolumeName != "":
		updated := o.Volume.DeepCopy()
		if metav1.HasAnnotation(updated.ObjectMeta, volume.AnnBoundByController) {
			updated.Spec.ClaimRef = nil
			delete(updated.Annotations, volume.AnnBoundByController)
		} else {
			updated.Spec.ClaimRef.UID = ""
		}
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// released handles a volume whose claim has gone: a provisioner deletes what it
// made; nothing here can delete the data of others.
func released(result *reconcile.Result, o VolumeObserved) {
	_, provisioned := o.Volume.Annotations[volume.AnnDynamicallyProvisioned]
	if o.Volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain || provisioned {
		setPhase(result, o, corev1.VolumeReleased, "")
		return
	}
	const message = "no provisioner made this volume: delete its data and the volume by hand, or set the reclaim policy to Retain"
	if setPhase(result, o, corev1.VolumeFailed, message) {
		result.Add(reconcile.Event{About: o.Volume, Type: corev1.EventTypeWarning, Reason: "VolumeFailedDelete", Message: message})
	}
}

func setPhase(result *reconcile.Result, o VolumeObserved, phase corev1.PersistentVolumePhase, message string) bool {
	if o.Volume.Status.Phase == phase && o.Volume.Status.Message == message {
		return false
	}
	updated := o.Volume.DeepCopy()
	if updated.Status.Phase != phase {
		at := metav1.NewTime(o.Now)
		updated.Status.LastPhaseTransitionTime = &at
	}
	updated.Status.Phase, updated.Status.Message, updated.Status.Reason = phase, message, ""
	result.Add(reconcile.UpdateStatus{Object: updated})
	return true
}
