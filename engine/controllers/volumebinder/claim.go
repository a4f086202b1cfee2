// Package volumebinder binds PersistentVolumeClaims to PersistentVolumes that
// exist, and hands claims of classes with a provisioner to it. A claim whose class
// waits for its first consumer is bound once a pod that uses it has a node.
//
// Binding is a protocol over crashes, one write per step: the volume's claimRef
// names the claim by UID; then the claim's volumeName names the volume; then both
// statuses say Bound. The first write decides; a crash after any step resumes there.
package volumebinder

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// noProvisioner is the provisioner of classes whose volumes are made by hand.
const noProvisioner = "kubernetes.io/no-provisioner"

// ClaimObserved is the snapshot of one claim.
type ClaimObserved struct {
	Claim *corev1.PersistentVolumeClaim
	// Class is the claim's class; nil if it names none, or one that does not exist.
	Class   *storagev1.StorageClass
	Volumes []*corev1.PersistentVolume
	// Node is where the first pod that uses the claim was placed; nil before that.
	Node *corev1.Node
	Now  time.Time
}

type claimPlan struct {
	reconcile.Result
	ClaimObserved
}

// PlanClaim decides the next step of one claim.
func PlanClaim(o ClaimObserved) reconcile.Result {
	p := &claimPlan{ClaimObserved: o}
	switch {
	case o.Claim.Spec.VolumeName != "":
		p.bound()
	case o.Claim.DeletionTimestamp == nil:
		p.unbound()
	}
	return p.Result
}

// waits reports that the claim's class binds at the first consumer.
func (p *claimPlan) waits() bool {
	return p.Class != nil && p.Class.VolumeBindingMode != nil && *p.Class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

// unbound looks for a volume: the one already promised to the claim, or the
// smallest that will do.
func (p *claimPlan) unbound() {
	var fitting []*corev1.PersistentVolume
	for _, pv := range p.Volumes {
		if volume.IsVolumeBoundToClaim(pv, p.Claim) || volume.CheckAccessModes(p.Claim, pv) {
			fitting = append(fitting, pv)
		}
	}
	node := p.Node
	if !p.waits() {
		node = nil
	}
	found, err := volume.FindMatchingVolume(p.Claim, fitting, node, nil, p.waits(), true)
	if err != nil {
		p.event(corev1.EventTypeWarning, "FailedBinding", err.Error())
		return
	}
	if found == nil {
		p.setPhase(corev1.ClaimPending)
		p.provision()
		return
	}
	if p.promise(found) {
		return
	}
	updated := p.Claim.DeepCopy()
	updated.Spec.VolumeName = found.Name
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBoundByController, "yes")
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBindCompleted, "yes")
	p.Add(reconcile.Update{Object: updated})
}

// promise writes the claim into the volume, unless it is there.
func (p *claimPlan) promise(pv *corev1.PersistentVolume) bool {
	updated, changed, err := volume.GetBindVolumeToClaim(pv, p.Claim)
	if err != nil {
		p.event(corev1.EventTypeWarning, "FailedBinding", err.Error())
		return true
	}
	if changed {
		p.Add(reconcile.Update{Object: updated})
	}
	return changed
}

// provision asks the class's provisioner for a volume, by annotation, and says
// what the claim waits for.
func (p *claimPlan) provision() {
	class := volume.GetPersistentVolumeClaimClass(p.Claim)
	switch {
	case class == "":
		p.event(corev1.EventTypeNormal, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	case p.Class == nil:
		p.event(corev1.EventTypeWarning, "ProvisioningFailed", fmt.Sprintf("storageclass.storage.k8s.io %q not found", class))
	case p.waits() && p.Node == nil:
		p.event(corev1.EventTypeNormal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case p.Class.Provisioner == noProvisioner:
		p.event(corev1.EventTypeNormal, "FailedBinding", "no persistent volumes available for this claim, and its storage class makes none")
	default:
		p.ask()
	}
}

func (p *claimPlan) ask() {
	updated := p.Claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnStorageProvisioner, p.Class.Provisioner)
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBetaStorageProvisioner, p.Class.Provisioner)
	if p.waits() {
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnSelectedNode, p.Node.Name)
	}
	if !apiequality.Semantic.DeepEqual(updated.Annotations, p.Claim.Annotations) {
		p.Add(reconcile.Update{Object: updated})
	}
	p.event(corev1.EventTypeNormal, "ExternalProvisioning", fmt.Sprintf("Waiting for a volume to be created either by the external provisioner '%s' or "+
		"manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.", p.Class.Provisioner))
}

// bound completes a binding, or notes that it was lost.
func (p *claimPlan) bound() {
	complete := metav1.HasAnnotation(p.Claim.ObjectMeta, volume.AnnBindCompleted)
	i := slices.IndexFunc(p.Volumes, func(pv *corev1.PersistentVolume) bool { return pv.Name == p.Claim.Spec.VolumeName })
	switch {
	case i < 0 && complete:
		p.lose("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
		return
	case i < 0:
		p.setPhase(corev1.ClaimPending)
		return
	}
	pv := p.Volumes[i]
	theirs := pv.Spec.ClaimRef != nil && !volume.IsVolumeBoundToClaim(pv, p.Claim)
	switch {
	case theirs && complete:
		p.lose("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
	case theirs:
		p.setPhase(corev1.ClaimPending)
		p.event(corev1.EventTypeWarning, "FailedBinding", fmt.Sprintf("volume %q already bound to a different claim.", pv.Name))
	case !complete && mismatch(p.Claim, pv) != "":
		p.setPhase(corev1.ClaimPending)
		p.event(corev1.EventTypeWarning, "VolumeMismatch", fmt.Sprintf("Cannot bind to requested volume %q: %s", pv.Name, mismatch(p.Claim, pv)))
	case p.promise(pv):
	case !complete:
		updated := p.Claim.DeepCopy()
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBindCompleted, "yes")
		p.Add(reconcile.Update{Object: updated})
	default:
		p.complete(pv)
	}
}

// mismatch says why a volume that the user chose cannot serve the claim.
func mismatch(claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) string {
	asked, has := claim.Spec.Resources.Requests[corev1.ResourceStorage], pv.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case has.Cmp(asked) < 0:
		return "requested PV is too small"
	case volume.GetPersistentVolumeClass(pv) != volume.GetPersistentVolumeClaimClass(claim):
		return "storageClassName does not match"
	case volume.CheckVolumeModeMismatches(&claim.Spec, &pv.Spec):
		return "incompatible volumeMode"
	case !volume.CheckAccessModes(claim, pv):
		return "incompatible accessMode"
	}
	return ""
}

// complete writes the status of a bound claim. The capacity is the volume's at the
// time of binding: what becomes of it later is said by whoever grows the volume.
func (p *claimPlan) complete(pv *corev1.PersistentVolume) {
	updated := p.Claim.DeepCopy()
	updated.Status.AccessModes = pv.Spec.AccessModes
	if updated.Status.Phase != corev1.ClaimBound {
		updated.Status.Phase = corev1.ClaimBound
		updated.Status.Capacity = pv.Spec.Capacity
		updated.Status.CurrentVolumeAttributesClassName = pv.Spec.VolumeAttributesClassName
	}
	p.write(updated)
}

func (p *claimPlan) lose(reason, message string) {
	if p.Claim.Status.Phase == corev1.ClaimLost {
		return
	}
	updated := p.Claim.DeepCopy()
	updated.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimLost, Conditions: updated.Status.Conditions}
	p.write(updated)
	p.event(corev1.EventTypeWarning, reason, message)
}

func (p *claimPlan) setPhase(phase corev1.PersistentVolumeClaimPhase) {
	updated := p.Claim.DeepCopy()
	updated.Status.Phase = phase
	p.write(updated)
}

func (p *claimPlan) write(updated *corev1.PersistentVolumeClaim) {
	if !apiequality.Semantic.DeepEqual(updated.Status, p.Claim.Status) {
		p.Add(reconcile.UpdateStatus{Object: updated})
	}
}

func (p *claimPlan) event(kind, reason, message string) {
	p.Add(reconcile.Event{About: p.Claim, Type: kind, Reason: reason, Message: message})
}
