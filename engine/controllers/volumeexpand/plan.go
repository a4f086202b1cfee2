// Package volumeexpand grows the volumes of claims that ask for more than they
// have: those of the built-in local provisioner at once, since a directory has no
// size; others it leaves to the driver's resizer, and says so.
package volumeexpand

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/controllers/volumebinder"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is one claim and the volume it names; nil if there is none.
type Observed struct {
	Claim  *corev1.PersistentVolumeClaim
	Volume *corev1.PersistentVolume
}

// Plan grows the volume first, then tells the claim: a crash in between is
// repaired by the same plan.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	asked, has := o.Claim.Spec.Resources.Requests[corev1.ResourceStorage], o.Claim.Status.Capacity[corev1.ResourceStorage]
	if o.Volume == nil || o.Claim.Status.Phase != corev1.ClaimBound || o.Volume.Spec.ClaimRef == nil ||
		o.Volume.Spec.ClaimRef.UID != o.Claim.UID || asked.Cmp(has) <= 0 {
		return result
	}
	if o.Volume.Annotations[volume.AnnDynamicallyProvisioned] != volumebinder.LocalProvisioner {
		result.Add(event(o.Claim, "ExternalExpanding", "waiting for an external controller to expand this PVC"))
		return result
	}
	if size := o.Volume.Spec.Capacity[corev1.ResourceStorage]; size.Cmp(asked) < 0 {
		grown := o.Volume.DeepCopy()
		grown.Spec.Capacity[corev1.ResourceStorage] = asked
		result.Add(reconcile.Update{Object: grown})
	}
	told := o.Claim.DeepCopy()
	if told.Status.Capacity == nil {
		told.Status.Capacity = corev1.ResourceList{}
	}
	told.Status.Capacity[corev1.ResourceStorage] = asked
	told.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: asked}
	delete(told.Status.AllocatedResourceStatuses, corev1.ResourceStorage)
	told.Status.Conditions = slices.DeleteFunc(told.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		return slices.Contains(resizing, c.Type)
	})
	result.Add(reconcile.UpdateStatus{Object: told},
		event(o.Claim, "VolumeResizeSuccessful", fmt.Sprintf("ExpandVolume succeeded for volume %s/%s", o.Claim.Namespace, o.Claim.Name)))
	return result
}

// resizing are the conditions that end with the growth.
var resizing = []corev1.PersistentVolumeClaimConditionType{
	corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending,
	corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError,
}

func event(claim *corev1.PersistentVolumeClaim, reason, message string) reconcile.Event {
	return reconcile.Event{About: claim, Type: corev1.EventTypeNormal, Reason: reason, Message: message}
}

// New builds the controller; its keys are claims.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	claims, volumes := core.PersistentVolumeClaims(), core.PersistentVolumes()
	watch := reconcile.Self[*corev1.PersistentVolumeClaim](claims.Informer())
	watch.Skip = func(old, obj any) bool {
		was, claim := old.(*corev1.PersistentVolumeClaim), obj.(*corev1.PersistentVolumeClaim)
		before, after := was.Spec.Resources.Requests[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
		return before.Cmp(after) == 0 && was.Status.Phase == claim.Status.Phase
	}
	return env.Controller(reconcile.Config{
		Name: "volume_expand", Writer: env.WriterFor("expand-controller"), Watches: []reconcile.Watch{watch},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			claim, err := claims.Lister().PersistentVolumeClaims(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			pv, err := volumes.Lister().Get(claim.Spec.VolumeName)
			if apierrors.IsNotFound(err) {
				pv, err = nil, nil
			}
			return Plan(Observed{Claim: claim, Volume: pv}), err
		},
	})
}
