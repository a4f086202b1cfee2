package volumeexpand_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/volumeexpand"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		o := volumeexpand.Observed{Claim: plantest.List[*corev1.PersistentVolumeClaim](w)[0]}
		for _, pv := range plantest.List[*corev1.PersistentVolume](w) {
			if pv.Name == o.Claim.Spec.VolumeName {
				o.Volume = pv
			}
		}
		return volumeexpand.Plan(o)
	}, nil)
}
