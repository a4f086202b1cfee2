// Package attachdetach attaches the CSI volumes of pods to their nodes, and detaches
// them when no pod needs them: it writes VolumeAttachments for the drivers'
// attachers and reports in each node's status what is attached.
package attachdetach

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// maxUnmount is how long a node that does not answer may keep a volume that no pod
// needs and that it reported as mounted.
const maxUnmount = 6 * time.Minute

var attachments = storagev1.SchemeGroupVersion.WithResource("volumeattachments")

// Use is a CSI volume that pods on the node need.
type Use struct {
	Volume *corev1.PersistentVolume
	// Pod is one of them, for events.
	Pod *corev1.Pod
}

// Observed is the snapshot of one node.
type Observed struct {
	Name string
	Node *corev1.Node // nil if it is gone
	// Uses are the volumes that need attaching, by name.
	Uses map[string]Use
	// Attachments are those of this node, Elsewhere those of other nodes for Uses.
	Attachments []*storagev1.VolumeAttachment
	Elsewhere   []*storagev1.VolumeAttachment
	// Volumes of Attachments, by name, as far as they exist.
	Volumes map[string]*corev1.PersistentVolume
	// Unused is since when no pod needs a volume that is attached.
	Unused map[string]time.Time
	Now    time.Time
}

// Plan attaches, detaches and reports. What is to be detached leaves the node's
// report first, so that no agent takes it for attached while it goes.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	detach := o.detachable(&result)
	if o.Node != nil {
		o.report(&result, detach)
	}
	for _, a := range detach {
		result.Add(reconcile.DeleteOf(attachments, a))
	}
	if o.Node == nil || o.Node.DeletionTimestamp != nil {
		return result
	}
	for _, name := range slices.Sorted(maps.Keys(o.Uses)) {
		o.attach(&result, o.Uses[name])
	}
	return result
}

func (o *Observed) attach(result *reconcile.Result, use Use) {
	pv := use.Volume
	name := Name(pv, o.Name)
	if i := slices.IndexFunc(o.Attachments, func(a *storagev1.VolumeAttachment) bool { return a.Name == name }); i >= 0 {
		if e := o.Attachments[i].Status.AttachError; e != nil && !o.Attachments[i].Status.Attached {
			result.Add(failed(use.Pod, fmt.Sprintf("AttachVolume.Attach failed for volume %q : %s", pv.Name, e.Message)))
		}
		return
	}
	if exclusive(pv) && slices.ContainsFunc(o.Elsewhere, func(a *storagev1.VolumeAttachment) bool { return volumeOf(a) == pv.Name }) {
		result.Add(failed(use.Pod, fmt.Sprintf("Multi-Attach error for volume %q Volume is already exclusively attached to one node and can't be attached to another", pv.Name)))
		return
	}
	result.Add(reconcile.Create{Object: &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: pv.Spec.CSI.Driver, NodeName: o.Name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv.Name},
		},
	}})
}

func failed(pod *corev1.Pod, message string) reconcile.Event {
	return reconcile.Event{About: pod, Type: corev1.EventTypeWarning, Reason: "FailedAttachVolume", Message: message}
}

// exclusive: the volume may be at one node only.
func exclusive(pv *corev1.PersistentVolume) bool {
	return !slices.ContainsFunc(pv.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}

// detachable are the attachments that may go: no pod needs them, and the node has
// unmounted them, or is gone, or was declared out of service, or has been silent
// for long.
func (o *Observed) detachable(result *reconcile.Result) []*storagev1.VolumeAttachment {
	var out []*storagev1.VolumeAttachment
	for _, a := range o.Attachments {
		if _, used := o.Uses[volumeOf(a)]; used || a.DeletionTimestamp != nil {
			continue
		}
		if o.mounted(a) && !outOfService(o.Node) {
			if healthy(o.Node) {
				continue // the node says when it has unmounted it
			}
			if wait := o.Unused[volumeOf(a)].Add(maxUnmount).Sub(o.Now); wait > 0 {
				result.RequeueIn(wait)
				continue
			}
		}
		out = append(out, a)
	}
	return out
}

func (o *Observed) mounted(a *storagev1.VolumeAttachment) bool {
	pv := o.Volumes[volumeOf(a)]
	return o.Node != nil && pv != nil && slices.Contains(o.Node.Status.VolumesInUse, Unique(pv))
}

func outOfService(node *corev1.Node) bool {
	return node != nil && slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

func healthy(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// report writes what is attached to the node, without what is to be detached, and
// tells pods of what has become attached.
func (o *Observed) report(result *reconcile.Result, detach []*storagev1.VolumeAttachment) {
	var want []corev1.AttachedVolume
	for _, a := range o.Attachments {
		pv := o.Volumes[volumeOf(a)]
		if pv == nil || !a.Status.Attached || a.DeletionTimestamp != nil || slices.Contains(detach, a) {
			continue
		}
		want = append(want, corev1.AttachedVolume{Name: Unique(pv)})
		known := slices.ContainsFunc(o.Node.Status.VolumesAttached, func(v corev1.AttachedVolume) bool { return v.Name == Unique(pv) })
		if use, ok := o.Uses[pv.Name]; ok && !known {
			result.Add(reconcile.Event{About: use.Pod, Type: corev1.EventTypeNormal, Reason: "SuccessfulAttachVolume",
				Message: fmt.Sprintf("AttachVolume.Attach succeeded for volume %q ", pv.Name)})
		}
	}
	slices.SortFunc(want, func(a, b corev1.AttachedVolume) int { return cmp.Compare(a.Name, b.Name) })
	if !apiequality.Semantic.DeepEqual(want, o.Node.Status.VolumesAttached) {
		updated := o.Node.DeepCopy()
		updated.Status.VolumesAttached = want
		result.Add(reconcile.UpdateStatus{Object: updated})
	}
}

// Name is that of the attachment of a volume to a node, as CSI's parts expect it.
func Name(pv *corev1.PersistentVolume, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(pv.Spec.CSI.VolumeHandle+pv.Spec.CSI.Driver+node)))
}

// Unique is the name of a volume in the status of nodes.
func Unique(pv *corev1.PersistentVolume) corev1.UniqueVolumeName {
	if pv.Spec.CSI == nil {
		return ""
	}
	return corev1.UniqueVolumeName("kubernetes.io/csi/" + pv.Spec.CSI.Driver + "^" + pv.Spec.CSI.VolumeHandle)
}

func volumeOf(a *storagev1.VolumeAttachment) string {
	if a.Spec.Source.PersistentVolumeName == nil {
		return ""
	}
	return *a.Spec.Source.PersistentVolumeName
}
