package nodelifecycle_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/nodelifecycle"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestScenarios takes the node's Ready heartbeat as the time it was last seen.
func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		node := plantest.List[*corev1.Node](w)[0]
		seen := node.CreationTimestamp.Time
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.LastHeartbeatTime.After(seen) {
				seen = c.LastHeartbeatTime.Time
			}
		}
		return nodelifecycle.Plan(nodelifecycle.Observed{Node: node, LastSeen: seen, Pods: plantest.List[*corev1.Pod](w), Now: w.Now})
	}, nil)
}

func TestNewNodeGetsStartupGrace(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	result := nodelifecycle.Plan(nodelifecycle.Observed{Node: &corev1.Node{}, LastSeen: now, Now: now.Add(50 * time.Second)})
	if len(result.Actions) != 0 || result.RequeueAfter != 10*time.Second {
		t.Errorf("a new node after 50 s: %v, again in %v", result.Actions, result.RequeueAfter)
	}
}
