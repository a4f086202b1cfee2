package endpointslicemirroring_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pintle-io/pintle/engine/controllers/endpointslicemirroring"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		o := endpointslicemirroring.Observed{Slices: plantest.List[*discoveryv1.EndpointSlice](w)}
		if all := plantest.List[*corev1.Endpoints](w); len(all) > 0 {
			o.Endpoints = all[0]
		}
		if all := plantest.List[*corev1.Service](w); len(all) > 0 {
			o.Service = all[0]
		}
		return endpointslicemirroring.Plan(o)
	}, nil)
}
