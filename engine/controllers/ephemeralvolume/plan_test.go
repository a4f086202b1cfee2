package ephemeralvolume_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/ephemeralvolume"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		claims := map[string]*corev1.PersistentVolumeClaim{}
		for _, claim := range plantest.List[*corev1.PersistentVolumeClaim](w) {
			claims[claim.Name] = claim
		}
		return ephemeralvolume.Plan(ephemeralvolume.Observed{Pod: plantest.List[*corev1.Pod](w)[0], Claims: claims})
	}, nil)
}
