package nodelifecycle_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/nodelifecycle"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// planAll plans every node; a node's Ready heartbeat is when it was last seen.
func planAll() func(w *plantest.World) reconcile.Result {
	byWorld := map[*plantest.World]*nodelifecycle.Zones{}
	return func(w *plantest.World) reconcile.Result {
		zones := byWorld[w]
		if zones == nil {
			zones = nodelifecycle.NewZones()
			byWorld[w] = zones
		}
		var all reconcile.Result
		nodes := plantest.List[*corev1.Node](w)
		for _, node := range nodes {
			zones.Note(node)
		}
		for _, node := range nodes {
			seen := node.CreationTimestamp.Time
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.LastHeartbeatTime.After(seen) {
					seen = c.LastHeartbeatTime.Time
				}
			}
			o := nodelifecycle.Observed{Node: node, LastSeen: seen, AllDisrupted: zones.AllDisrupted(), Now: w.Now}
			for _, pod := range plantest.List[*corev1.Pod](w) {
				if pod.Spec.NodeName == node.Name {
					o.Pods = append(o.Pods, pod)
				}
			}
			if nodelifecycle.NeedsTurn(node) {
				o.Turn = zones.Take(node, w.Now)
			} else {
				zones.Release(node)
			}
			result := nodelifecycle.Plan(o)
			all.Add(result.Actions...)
			if result.RequeueAfter > 0 {
				all.RequeueIn(result.RequeueAfter)
			}
		}
		return all
	}
}

func TestScenarios(t *testing.T) { plantest.Run(t, planAll(), nil) }

// TestZonesAreEmptiedSlowly lets nodes fail and come back at random and checks that
// no zone loses nodes faster than it may, and none while nothing answers.
func TestZonesAreEmptiedSlowly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zones := nodelifecycle.NewZones()
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		var nodes []*corev1.Node
		for i := range rapid.IntRange(1, 8).Draw(t, "nodes") {
			nodes = append(nodes, &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i), Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprint(i % 2)}},
				Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
			})
		}
		last := map[string]time.Time{}
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "seconds")) * time.Second)
			node := rapid.SampledFrom(nodes).Draw(t, "node")
			c := &node.Status.Conditions[0]
			c.Status = rapid.SampledFrom([]corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionUnknown}).Draw(t, "status")
			zones.Note(node)
			if c.Status == corev1.ConditionTrue {
				zones.Release(node)
				node.Spec.Taints = nil
				continue
			}
			o := nodelifecycle.Observed{Node: node, LastSeen: now, AllDisrupted: zones.AllDisrupted(), Now: now}
			if !nodelifecycle.NeedsTurn(node) {
				zones.Release(node)
				continue
			}
			o.Turn = zones.Take(node, now)
			for _, action := range nodelifecycle.Plan(o).Actions {
				update, ok := action.(reconcile.Update)
				if !ok {
					continue
				}
				node.Spec.Taints = update.Object.(*corev1.Node).Spec.Taints
				if nodelifecycle.NeedsTurn(node) {
					continue
				}
				zone := node.Labels[corev1.LabelTopologyZone]
				if since := now.Sub(last[zone]); since < 10*time.Second || zones.AllDisrupted() {
					t.Fatalf("zone %s emptied %v after the last", zone, since)
				}
				last[zone] = now
			}
		}
	})
}

func TestNewNodeGetsStartupGrace(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	result := nodelifecycle.Plan(nodelifecycle.Observed{Node: &corev1.Node{}, LastSeen: now, Now: now.Add(50 * time.Second)})
	if len(result.Actions) != 0 || result.RequeueAfter != 10*time.Second {
		t.Errorf("a new node after 50 s: %v, again in %v", result.Actions, result.RequeueAfter)
	}
}
