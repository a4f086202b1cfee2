package volumebinder

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var volumes = corev1.SchemeGroupVersion.WithResource("persistentvolumes")

// VolumeObserved is the snapshot of one volume. Claim is what its claimRef names;
// nil if there is no claim of that name. Pods use a claim of that name. Node is
// where a local volume is, nil if that node is gone.
type VolumeObserved struct {
	Volume *corev1.PersistentVolume
	Claim  *corev1.PersistentVolumeClaim
	Pods   []*corev1.Pod
	Node   *corev1.Node
	Now    time.Time
}

type volumePlan struct {
	reconcile.Result
	VolumeObserved
}

// PlanVolume decides the phase of one volume, takes back a promise that the claim
// did not accept, and does with a released volume what its policy says.
func PlanVolume(o VolumeObserved) reconcile.Result {
	p := &volumePlan{VolumeObserved: o}
	ref := o.Volume.Spec.ClaimRef
	switch {
	case ref == nil || ref.UID == "":
		p.setPhase(corev1.VolumeAvailable, "")
	case o.Claim == nil || o.Claim.UID != ref.UID:
		p.released()
	case o.Claim.Spec.VolumeName == o.Volume.Name:
		p.setPhase(corev1.VolumeBound, "")
	case o.Claim.Spec.VolumeName == "":
		p.promised()
	case o.Volume.Annotations[volume.AnnDynamicallyProvisioned] != "" && o.Volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		p.released()
	default:
		p.unbind()
	}
	return p.Result
}

// promised is a volume whose claim has not answered yet; its modes may be why.
func (p *volumePlan) promised() {
	if !volume.CheckVolumeModeMismatches(&p.Claim.Spec, &p.Volume.Spec) {
		return
	}
	p.Add(
		reconcile.Event{About: p.Volume, Type: corev1.EventTypeWarning, Reason: "VolumeMismatch",
			Message: fmt.Sprintf("Cannot bind PersistentVolume to requested PersistentVolumeClaim %q due to incompatible volumeMode.", p.Claim.Name)},
		reconcile.Event{About: p.Claim, Type: corev1.EventTypeWarning, Reason: "VolumeMismatch",
			Message: fmt.Sprintf("Cannot bind PersistentVolume %q to requested PersistentVolumeClaim due to incompatible volumeMode.", p.Volume.Name)},
	)
}

// unbind takes the promise back; a user's wish stays without the UID.
func (p *volumePlan) unbind() {
	updated := p.Volume.DeepCopy()
	if metav1.HasAnnotation(updated.ObjectMeta, volume.AnnBoundByController) {
		updated.Spec.ClaimRef = nil
		delete(updated.Annotations, volume.AnnBoundByController)
	} else {
		updated.Spec.ClaimRef.UID = ""
	}
	p.Add(reconcile.Update{Object: updated})
}

// released handles a volume whose claim has gone. A failed one stays so while it
// is tried again, for people to see.
func (p *volumePlan) released() {
	if phase := p.Volume.Status.Phase; phase != corev1.VolumeReleased && phase != corev1.VolumeFailed {
		p.setPhase(corev1.VolumeReleased, "")
		return
	}
	switch p.Volume.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimRetain:
	case corev1.PersistentVolumeReclaimRecycle:
		p.recycle()
	case corev1.PersistentVolumeReclaimDelete:
		p.remove()
	default:
		p.fail("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
	}
}

// recycle: no kind of volume here can be recycled.
func (p *volumePlan) recycle() {
	var users []string
	for _, pod := range p.Pods {
		if !podset.IsFinished(pod) {
			users = append(users, pod.Namespace+"/"+pod.Name)
		}
	}
	if len(users) > 0 && p.Claim == nil {
		slices.Sort(users)
		p.Add(reconcile.Event{About: p.Volume, Type: corev1.EventTypeNormal, Reason: "VolumeFailedRecycle",
			Message: "Volume is used by pods: " + strings.Join(users, ",")})
		return
	}
	p.fail("VolumeFailedRecycle", "No recycler plugin found for the volume!")
}

// remove deletes a local volume and leaves those of other provisioners to them.
func (p *volumePlan) remove() {
	provisioner := p.Volume.Annotations[volume.AnnDynamicallyProvisioned]
	_, moved := migrated[provisioner]
	switch {
	case provisioner == LocalProvisioner:
		p.removeLocal()
	case moved || p.Volume.Annotations[volume.AnnMigratedTo] != "":
	case strings.HasPrefix(provisioner, inTree):
		p.fail("VolumeFailedDelete", "no volume plugin matched name: "+provisioner)
	case provisioner != "" || p.Volume.Spec.CSI != nil:
	default:
		p.fail("VolumeFailedDelete", fmt.Sprintf("error getting deleter volume plugin for volume %q: no deletable volume plugin matched", p.Volume.Name))
	}
}

// removeLocal has the node's agent remove the directory, then lets the volume go.
func (p *volumePlan) removeLocal() {
	if p.Node != nil && p.Node.Annotations[LocalRoot] != "" {
		p.Add(reconcile.Request{Method: http.MethodDelete, Path: agentPath(p.Node.Name, p.Volume.Name)})
		p.OnFailure = func(f reconcile.Failure) []reconcile.Action {
			if _, ok := f.Action.(reconcile.Request); !ok {
				return nil
			}
			failed := &volumePlan{VolumeObserved: p.VolumeObserved}
			failed.fail("VolumeFailedDelete", f.Err.Error())
			return failed.Actions
		}
	}
	if i := slices.Index(p.Volume.Finalizers, volume.PVDeletionInTreeProtectionFinalizer); i >= 0 {
		updated := p.Volume.DeepCopy()
		updated.Finalizers = slices.Delete(updated.Finalizers, i, i+1)
		p.Add(reconcile.Update{Object: updated})
	}
	if p.Volume.DeletionTimestamp == nil {
		p.Add(reconcile.DeleteOf(volumes, p.Volume))
	}
}

// fail marks the volume and says why, once.
func (p *volumePlan) fail(reason, message string) {
	if p.Volume.Status.Phase == corev1.VolumeFailed {
		return
	}
	p.setPhase(corev1.VolumeFailed, message)
	p.Add(reconcile.Event{About: p.Volume, Type: corev1.EventTypeWarning, Reason: reason, Message: message})
}

func (p *volumePlan) setPhase(phase corev1.PersistentVolumePhase, message string) {
	if p.Volume.Status.Phase == phase {
		return
	}
	updated := p.Volume.DeepCopy()
	at := metav1.NewTime(p.Now)
	updated.Status.LastPhaseTransitionTime = &at
	updated.Status.Phase, updated.Status.Message, updated.Status.Reason = phase, message, ""
	p.Add(reconcile.UpdateStatus{Object: updated})
}
