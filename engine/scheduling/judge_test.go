package scheduling

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/decision"
)

// TestJudgeNamesEveryRule: unlike a diagnosis, a judgement does not end at the first
// rule that fails. That verdicts and scores are right is what the brute force checks.
func TestJudgeNamesEveryRule(t *testing.T) {
	w := newWorld(t, nil)
	pod := makePod("p", asking(corev1.ResourceCPU, "100"), func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	})
	if _, err := w.Judge(t.Context(), pod, "a"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before it runs: %v", err)
	}
	w.addNode(makeNode("a", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "x", Effect: corev1.TaintEffectNoSchedule}}
	}))
	w.addNode(makeNode("b"))
	w.start()
	w.addPod(makePod("other"))
	w.bound(1) // the loop is running

	j, err := w.Judge(t.Context(), pod, "a")
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, c := range j.Checks {
		if !c.Passed {
			failed = append(failed, c.Name+": "+c.Message+" ["+strings.Join(c.Details, "; ")+"]")
		}
	}
	want := []string{
		"TaintToleration: node(s) had untolerated taint(s) [taint dedicated=x:NoSchedule]",
		"NodeAffinity: node(s) didn't match Pod's node affinity/selector []",
		"NodeResourcesFit: Insufficient cpu [cpu: asks for 100, 32 free, too little; memory: asks for 100Mi, 256Gi free; pods: asks for 1, 110 free]",
	}
	if !slices.Equal(failed, want) {
		t.Errorf("failed:\n%s\nwant:\n%s", strings.Join(failed, "\n"), strings.Join(want, "\n"))
	}
	if len(j.Notes) != 1 || !strings.Contains(j.Notes[0], "example.com/wait") || j.Feasible != 0 || j.Score != nil {
		t.Errorf("%+v", j)
	}
	if _, err := w.Judge(t.Context(), pod, "none"); !errors.Is(err, ErrNoNode) {
		t.Errorf("about a node that is not there: %v", err)
	}
	if got := w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default", Name: "p"}, 1); len(got) != 0 {
		t.Errorf("a question was recorded as a decision: %+v", got)
	}
}
