package nodettl_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/nodettl"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestStep(t *testing.T) {
	step := 0
	for _, c := range []struct{ nodes, want int }{{100, 0}, {101, 1}, {95, 1}, {89, 0}, {5000, 4}, {1900, 4}, {0, 0}} {
		if step = nodettl.Step(step, c.nodes); step != c.want {
			t.Errorf("%d nodes: step %d, want %d", c.nodes, step, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	result := nodettl.Plan(&corev1.Node{}, 1)
	node := result.Actions[0].(reconcile.Update).Object.(*corev1.Node)
	if node.Annotations["node.alpha.kubernetes.io/ttl"] != "15" {
		t.Error(node.Annotations)
	}
	if again := nodettl.Plan(node, 1); len(again.Actions) != 0 {
		t.Errorf("written again: %+v", again)
	}
}
