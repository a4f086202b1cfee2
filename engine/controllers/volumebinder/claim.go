// Package volumebinder binds PersistentVolumeClaims to PersistentVolumes, makes
// the volumes of classes that belong to the built-in local provisioner, and hands
// claims of other classes to their provisioner. A claim whose class waits for its
// first consumer is bound once a node was chosen for a pod that uses it.
//
// Binding is a protocol over crashes, one write per step: the volume's claimRef
// names the claim by UID; then the claim's volumeName names the volume; then both
// statuses say Bound. The first write decides; a crash after any step resumes there.
package volumebinder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// ClaimObserved is the snapshot of one claim.
type ClaimObserved struct {
	Claim *corev1.PersistentVolumeClaim
	// Class is the claim's class; nil if it names none, or one that does not exist.
	Class *storagev1.StorageClass
	// Default is the class for claims that name none; nil if there is none.
	Default *storagev1.StorageClass
	Volumes []*corev1.PersistentVolume
	// Pods use the claim.
	Pods  []*corev1.Pod
	Nodes []*corev1.Node
	Now   time.Time
}

type claimPlan struct {
	reconcile.Result
	ClaimObserved
}

// PlanClaim decides the next step of one claim.
func PlanClaim(o ClaimObserved) reconcile.Result {
	p := &claimPlan{ClaimObserved: o}
	switch {
	case metav1.HasAnnotation(o.Claim.ObjectMeta, volume.AnnBindCompleted):
		p.bound()
	case o.Claim.Spec.VolumeName != "":
		p.chosen()
	case o.Claim.DeletionTimestamp == nil:
		p.unbound()
	}
	return p.Result
}

// waits reports that the claim's class binds at the first consumer.
func (p *claimPlan) waits() bool {
	return p.Class != nil && ptr.Deref(p.Class.VolumeBindingMode, "") == storagev1.VolumeBindingWaitForFirstConsumer
}

// node finds a node by name.
func (p *claimPlan) node(name string) *corev1.Node {
	i := slices.IndexFunc(p.Nodes, func(n *corev1.Node) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return p.Nodes[i]
}

// placed is the node of the first pod that uses the claim, nil if none has one. A
// scheduler that knows of volumes binds them, or names the node in the claim,
// before it places the pod; this is for pods that were placed without one.
func (p *claimPlan) placed() *corev1.Node {
	for _, pod := range p.Pods {
		if pod.Spec.NodeName != "" && !podset.IsFinished(pod) {
			return p.node(pod.Spec.NodeName)
		}
	}
	return nil
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
	var node *corev1.Node
	if p.waits() {
		node = p.placed()
	}
	found, err := volume.FindMatchingVolume(p.Claim, fitting, node, nil, p.waits(), true)
	if err != nil {
		p.event(corev1.EventTypeWarning, "FailedBinding", err.Error())
		return
	}
	if found != nil {
		p.bind(found)
		return
	}
	if !volume.PersistentVolumeClaimHasClass(p.Claim) && p.Default != nil {
		updated := p.Claim.DeepCopy()
		updated.Spec.StorageClassName = &p.Default.Name
		p.Add(reconcile.Update{Object: updated})
		return
	}
	p.setPhase(corev1.ClaimPending)
	switch {
	case p.waits() && !volume.IsDelayBindingProvisioning(p.Claim) && node == nil:
		p.wait()
	case volume.GetPersistentVolumeClaimClass(p.Claim) != "":
		p.provision()
	default:
		p.event(corev1.EventTypeNormal, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	}
}

// wait says what a claim waits for that is bound at the first consumer.
func (p *claimPlan) wait() {
	var names []string
	for _, pod := range p.Pods {
		if pod.Spec.NodeName == "" && !podset.IsFinished(pod) {
			names = append(names, pod.Name)
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		p.event(corev1.EventTypeNormal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case 1:
		p.event(corev1.EventTypeNormal, "WaitForPodScheduled", fmt.Sprintf("waiting for pod %s to be scheduled", names[0]))
	default:
		p.event(corev1.EventTypeNormal, "WaitForPodScheduled", fmt.Sprintf("waiting for pods %s to be scheduled", strings.Join(names, ",")))
	}
}

// chosen binds a claim to the volume its user named.
func (p *claimPlan) chosen() {
	pv := p.volume()
	switch {
	case pv == nil:
		p.setPhase(corev1.ClaimPending)
	case pv.Spec.ClaimRef == nil:
		if why := mismatch(p.Claim, pv); why != "" {
			p.event(corev1.EventTypeWarning, "VolumeMismatch", fmt.Sprintf("Cannot bind to requested volume %q: %s", pv.Name, why))
			p.setPhase(corev1.ClaimPending)
			return
		}
		p.bind(pv)
	case volume.IsVolumeBoundToClaim(pv, p.Claim):
		p.bind(pv)
	default:
		p.event(corev1.EventTypeWarning, "FailedBinding", fmt.Sprintf("volume %q already bound to a different claim.", pv.Name))
		p.setPhase(corev1.ClaimPending)
	}
}

// bound repairs a binding that was complete, or notes that it was lost.
func (p *claimPlan) bound() {
	pv := p.volume()
	switch {
	case p.Claim.Spec.VolumeName == "":
		p.lose("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	case pv == nil:
		p.lose("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case pv.Spec.ClaimRef == nil, pv.Spec.ClaimRef.UID == p.Claim.UID:
		p.bind(pv)
	default:
		p.lose("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
	}
}

func (p *claimPlan) volume() *corev1.PersistentVolume {
	i := slices.IndexFunc(p.Volumes, func(pv *corev1.PersistentVolume) bool { return pv.Name == p.Claim.Spec.VolumeName })
	if i < 0 {
		return nil
	}
	return p.Volumes[i]
}

// bind takes the next step of the binding protocol; the volume's own key writes
// its status.
func (p *claimPlan) bind(pv *corev1.PersistentVolume) {
	promised, changed, err := volume.GetBindVolumeToClaim(pv, p.Claim)
	if err != nil {
		p.event(corev1.EventTypeWarning, "FailedBinding", err.Error())
		return
	}
	if changed {
		p.Add(reconcile.Update{Object: promised})
		return
	}
	updated := p.Claim.DeepCopy()
	if updated.Spec.VolumeName != pv.Name {
		updated.Spec.VolumeName = pv.Name
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBoundByController, "yes")
	}
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, volume.AnnBindCompleted, "yes")
	if !apiequality.Semantic.DeepEqual(updated, p.Claim) {
		p.Add(reconcile.Update{Object: updated})
		return
	}
	p.complete(pv)
}

// mismatch says why a volume that the user chose cannot serve the claim.
func mismatch(claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) string {
	asked, has := claim.Spec.Resources.Requests[corev1.ResourceStorage], pv.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case pv.DeletionTimestamp != nil:
		return fmt.Sprintf("the volume is marked for deletion %q", pv.Name)
	case has.Value() < asked.Value():
		return "requested PV is too small"
	case volume.GetPersistentVolumeClass(pv) != volume.GetPersistentVolumeClaimClass(claim):
		return "storageClassName does not match"
	case ptr.Deref(claim.Spec.VolumeAttributesClassName, "") != ptr.Deref(pv.Spec.VolumeAttributesClassName, ""):
		return "volumeAttributesClassName does not match"
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
	if before := updated.Status.Phase; before != corev1.ClaimBound {
		updated.Status.Phase = corev1.ClaimBound
		updated.Status.Capacity = pv.Spec.Capacity
		if before == corev1.ClaimPending {
			updated.Status.CurrentVolumeAttributesClassName = pv.Spec.VolumeAttributesClassName
		}
	}
	p.write(updated)
}

func (p *claimPlan) lose(reason, message string) {
	if p.Claim.Status.Phase == corev1.ClaimLost {
		return
	}
	p.setPhase(corev1.ClaimLost)
	p.event(corev1.EventTypeWarning, reason, message)
}

// setPhase is for claims without a volume: what came from one is taken back.
func (p *claimPlan) setPhase(phase corev1.PersistentVolumeClaimPhase) {
	updated := p.Claim.DeepCopy()
	updated.Status.Phase = phase
	updated.Status.AccessModes, updated.Status.Capacity, updated.Status.CurrentVolumeAttributesClassName = nil, nil, nil
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
