package vacprotection_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/vacprotection"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		return vacprotection.Plan(vacprotection.Observed{
			Class:  plantest.List[*storagev1.VolumeAttributesClass](w)[0],
			Claims: plantest.List[*corev1.PersistentVolumeClaim](w), Volumes: plantest.List[*corev1.PersistentVolume](w),
		})
	}, nil)
}
