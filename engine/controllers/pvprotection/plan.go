// Package pvprotection keeps a PersistentVolume that is being deleted until no
// claim is bound to it: it holds the volume's finalizer.
package pvprotection

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Finalizer is what admission puts on each volume.
const Finalizer = "kubernetes.io/pv-protection"

// Observed is the snapshot of one volume.
type Observed struct {
	Volume *corev1.PersistentVolume
}

// Plan decides whether the volume has the finalizer.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	has := slices.Contains(o.Volume.Finalizers, Finalizer)
	going := o.Volume.DeletionTimestamp != nil
	if has != going || going && o.Volume.Status.Phase == corev1.VolumeBound {
		return result
	}
	updated := o.Volume.DeepCopy()
	if going {
		updated.Finalizers = slices.DeleteFunc(updated.Finalizers, func(f string) bool { return f == Finalizer })
	} else {
		updated.Finalizers = append(updated.Finalizers, Finalizer)
	}
	result.Add(reconcile.Update{Object: updated})
	return result
}
