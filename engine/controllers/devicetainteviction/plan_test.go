package devicetainteviction_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/pintle-io/pintle/engine/controllers/devicetainteviction"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestScenarios plans all rules, then all pods; later waits are the shortest.
func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		devices := devicetainteviction.Devices{Slices: plantest.List[*resourcev1.ResourceSlice](w), Rules: plantest.List[*resourcev1.DeviceTaintRule](w)}
		pods, claims := plantest.List[*corev1.Pod](w), plantest.List[*resourcev1.ResourceClaim](w)
		var all reconcile.Result
		add := func(r reconcile.Result) {
			all.Add(r.Actions...)
			if r.RequeueAfter > 0 {
				all.RequeueIn(r.RequeueAfter)
			}
		}
		for _, rule := range devices.Rules {
			add(devicetainteviction.PlanRule(devicetainteviction.RuleObserved{Devices: devices, Rule: rule, Pods: pods, Claims: claims, Now: w.Now}))
		}
		for _, pod := range pods {
			add(devicetainteviction.Plan(devicetainteviction.Observed{Devices: devices, Pod: pod, Claims: claims, Now: w.Now}))
		}
		return all
	}, nil)
}
