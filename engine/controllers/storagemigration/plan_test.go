package storagemigration_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	migrationv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/storagemigration"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestScenarios has ConfigMaps as the resource; it is there when one of them is.
func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		o := storagemigration.Observed{Migration: plantest.List[*migrationv1.StorageVersionMigration](w)[0], Revision: "2", Migratable: true, Now: w.Now}
		for _, cm := range plantest.List[*corev1.ConfigMap](w) {
			gvr := corev1.SchemeGroupVersion.WithResource("configmaps")
			o.Resource = &gvr
			o.Objects = append(o.Objects, metav1.PartialObjectMetadata{ObjectMeta: cm.ObjectMeta})
		}
		return storagemigration.Plan(o)
	}, nil)
}
