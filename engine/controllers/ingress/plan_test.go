package ingress_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pintle-io/pintle/engine/controllers/ingress"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		return ingress.Plan(ingress.Observed{
			Classes:   plantest.List[*networkingv1.IngressClass](w),
			Ingresses: plantest.List[*networkingv1.Ingress](w),
			Nodes:     plantest.List[*corev1.Node](w),
		})
	}, nil)
}
