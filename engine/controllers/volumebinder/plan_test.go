package volumebinder_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/volumebinder"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// plan is the first step that anything in the world has to take.
func plan(w *plantest.World) reconcile.Result {
	volumes := plantest.List[*corev1.PersistentVolume](w)
	claims := plantest.List[*corev1.PersistentVolumeClaim](w)
	for _, pv := range volumes {
		o := volumebinder.VolumeObserved{Volume: pv, Now: w.Now}
		for _, claim := range claims {
			if ref := pv.Spec.ClaimRef; ref != nil && ref.Name == claim.Name {
				o.Claim = claim
			}
		}
		if result := volumebinder.PlanVolume(o); len(result.Actions) > 0 {
			return result
		}
	}
	for _, claim := range claims {
		o := volumebinder.ClaimObserved{Claim: claim, Volumes: volumes, Now: w.Now}
		for _, class := range plantest.List[*storagev1.StorageClass](w) {
			if claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == class.Name {
				o.Class = class
			}
		}
		for _, pod := range plantest.List[*corev1.Pod](w) {
			for _, node := range plantest.List[*corev1.Node](w) {
				if node.Name == pod.Spec.NodeName {
					o.Node = node
				}
			}
		}
		if result := volumebinder.PlanClaim(o); len(result.Actions) > 0 {
			return result
		}
	}
	return reconcile.Result{}
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, nil) }
