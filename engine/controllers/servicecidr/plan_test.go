package servicecidr_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/servicecidr"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		all := plantest.List[*networkingv1.ServiceCIDR](w)
		var result reconcile.Result
		for _, cidr := range all {
			one := servicecidr.Plan(servicecidr.Observed{CIDR: cidr, All: all, Addresses: plantest.List[*networkingv1.IPAddress](w), Now: w.Now})
			result.Add(one.Actions...)
			if one.RequeueAfter > 0 {
				result.RequeueIn(one.RequeueAfter)
			}
		}
		return result
	}, nil)
}
