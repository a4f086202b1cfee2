package tainteviction_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/tainteviction"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		var all reconcile.Result
		for _, pod := range plantest.List[*corev1.Pod](w) {
			one := tainteviction.Plan(tainteviction.Observed{Pod: pod, Taints: plantest.List[*corev1.Node](w)[0].Spec.Taints, Now: w.Now})
			all.Add(one.Actions...)
			if one.RequeueAfter > 0 {
				all.RequeueIn(one.RequeueAfter)
			}
		}
		return all
	}, nil)
}
