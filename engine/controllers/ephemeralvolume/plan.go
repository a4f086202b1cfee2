// Package ephemeralvolume makes the claims of a pod's generic ephemeral volumes.
// They belong to the pod, so that the garbage collector takes them with it.
package ephemeralvolume

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is the snapshot of one pod. Claims are those there are, by name.
type Observed struct {
	Pod    *corev1.Pod
	Claims map[string]*corev1.PersistentVolumeClaim
}

// Plan makes the claims that are missing, up to the first whose name is taken.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Pod.DeletionTimestamp != nil {
		return result
	}
	for i := range o.Pod.Spec.Volumes {
		v := &o.Pod.Spec.Volumes[i]
		if v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
			continue
		}
		if claim := o.Claims[ephemeral.VolumeClaimName(o.Pod, v)]; claim != nil {
			if err := ephemeral.VolumeIsForPod(o.Pod, claim); err != nil {
				result.Add(reconcile.Event{About: o.Pod, Type: corev1.EventTypeWarning, Reason: "FailedBinding",
					Message: fmt.Sprintf("ephemeral volume %s: %v", v.Name, err)})
				return result
			}
			continue
		}
		result.Add(reconcile.Create{Object: claimFor(o.Pod, v), Announce: &reconcile.Announce{About: o.Pod, Failed: reconcile.Message{
			Type: corev1.EventTypeWarning, Reason: "FailedBinding", Format: "ephemeral volume " + v.Name + ": create PVC " + ephemeral.VolumeClaimName(o.Pod, v) + ": %v",
		}}})
	}
	return result
}

func claimFor(pod *corev1.Pod, v *corev1.Volume) *corev1.PersistentVolumeClaim {
	template := v.Ephemeral.VolumeClaimTemplate.DeepCopy()
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: ephemeral.VolumeClaimName(pod, v),
			Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: template.Spec,
	}
}
