package scheduling

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/wasm/abi"
)

func TestSpreadsIdenticalPods(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 100 {
		w.addNode(makeNode(fmt.Sprintf("n%03d", i)))
	}
	for i := range 1000 {
		w.addPod(makePod(fmt.Sprintf("p%04d", i)))
	}
	start := time.Now()
	w.start()
	on := w.bound(1000)
	t.Logf("1000 pods on 100 nodes in %v", time.Since(start))
	for node, n := range on {
		if n != 10 {
			t.Errorf("%s has %d pods, want 10", node, n)
		}
	}
	r := w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default", Name: "p0007"}, 10)
	if len(r) != 1 || r[0].Verdict != decision.Scheduled || r[0].Target == "" || r[0].Candidates != 100 {
		t.Errorf("decision records %+v, want one that says where it was placed", r)
	}
}

func TestWaitsForWhatItLacks(t *testing.T) {
	zone := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "b"} }
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	tainted := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
	}
	small := func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("1") }
	for name, tc := range map[string]struct {
		nodes   []*corev1.Node
		pod     *corev1.Pod
		message string
		cure    *corev1.Node
	}{
		"no node at all": {nil, makePod("p"), "no nodes available to schedule pods", makeNode("n9")},
		"cpu and taint": {
			[]*corev1.Node{makeNode("n0", small), makeNode("n1", small), makeNode("n2", small), makeNode("n3", tainted), makeNode("n4", tainted)},
			makePod("p", asking(corev1.ResourceCPU, "2")),
			"0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu. " +
				"preemption: 0/5 nodes are available: 2 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod.",
			makeNode("n3"),
		},
		"selector": {
			[]*corev1.Node{makeNode("n0", inZone("a")), makeNode("n1", cordoned, inZone("b"))}, makePod("p", zone),
			"0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. " +
				"preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
			makeNode("n1", inZone("b")),
		},
		"extended resource": {
			[]*corev1.Node{makeNode("n0")}, makePod("p", asking("example.com/gpu", "1")),
			"0/1 nodes are available: 1 Insufficient example.com/gpu. " +
				"preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
			makeNode("n0", func(n *corev1.Node) { n.Status.Allocatable["example.com/gpu"] = resource.MustParse("2") }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			for _, n := range tc.nodes {
				w.addNode(n)
			}
			w.addPod(tc.pod)
			w.start()
			w.event("Warning FailedScheduling p: " + tc.message)
			w.until("condition", func(pods map[string]*corev1.Pod, _ []string) bool {
				c := pods["p"].Status.Conditions
				return len(c) == 1 && c[0].Type == corev1.PodScheduled && c[0].Status == corev1.ConditionFalse &&
					c[0].Reason == corev1.PodReasonUnschedulable && c[0].Message == tc.message
			})
			w.addNode(tc.cure)
			if on := w.bound(1); on[tc.cure.Name] != 1 {
				t.Errorf("placed on %v, want %s", on, tc.cure.Name)
			}
		})
	}
}

func TestDeletedPodMakesRoom(t *testing.T) {
	w := newWorld(t, nil)
	w.addNode(makeNode("n"))
	w.addPod(makePod("first", asking(corev1.ResourceCPU, "20")))
	w.start()
	w.bound(1)
	w.addPod(makePod("second", asking(corev1.ResourceCPU, "20")))
	w.event("FailedScheduling second: 0/1 nodes are available: 1 Insufficient cpu.")
	w.deletePod("first")
	w.event("Scheduled second: Successfully assigned default/second to n")
}

func TestGatesAndOtherSchedulers(t *testing.T) {
	w := newWorld(t, nil)
	w.addNode(makeNode("n"))
	gated := makePod("gated", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}} })
	w.addPod(gated)
	w.addPod(makePod("foreign", func(p *corev1.Pod) { p.Spec.SchedulerName = "other" }))
	w.addPod(makePod("plain"))
	w.start()
	w.bound(1)
	w.until("only the plain pod bound", func(pods map[string]*corev1.Pod, _ []string) bool {
		return pods["plain"].Spec.NodeName == "n" && pods["gated"].Spec.NodeName == "" && pods["foreign"].Spec.NodeName == ""
	})
	open := gated.DeepCopy()
	open.Spec.SchedulingGates = nil
	w.addPod(open)
	w.event("Scheduled gated")
}

func TestRefusedBindingIsTriedAgain(t *testing.T) {
	w := newWorld(t, nil)
	first := true
	w.mu.refuse = func(*corev1.Pod, string) error {
		if first {
			first = false
			return errors.New("conflict")
		}
		return nil
	}
	w.addNode(makeNode("n"))
	p := makePod("p")
	if err := w.config.Informers.Core().V1().Pods().Informer().GetStore().Add(p); err != nil {
		t.Fatal(err)
	}
	w.addPod(p)
	for _, e := range w.inbox.take() {
		w.observe(e, time.Now())
	}
	w.schedule(t.Context(), w.queue.pop(10), time.Now())
	w.bind(t.Context(), <-w.bindings)
	for _, e := range w.inbox.take() {
		w.observe(e, time.Now())
	}
	if len(w.cluster.pods) != 0 {
		t.Error("the assumed pod still takes room")
	}
	if p := w.queue.pods["p"]; p == nil || p.state != queueBackoff {
		t.Fatalf("after a refused binding the pod is %+v, want it in back-off", p)
	}
	w.queue.flush(time.Now().Add(time.Minute))
	w.schedule(t.Context(), w.queue.pop(10), time.Now())
	w.bind(t.Context(), <-w.bindings)
	w.bound(1)
}

// rogue answers with whatever place says.
type rogue struct {
	calls int
	place func(s *abi.Snapshot, b *abi.Batch, results []abi.Result) ([]abi.Result, error)
}

func (*rogue) Identity() string { return "rogue@sha256:0" }

func (r *rogue) Place(_ context.Context, s *abi.Snapshot, b *abi.Batch) (abi.Answer, error) {
	r.calls++
	results, err := r.place(s, b, make([]abi.Result, b.Pods()))
	return abi.Answer{Results: results}, err
}

func TestRogueStrategies(t *testing.T) {
	for name, place := range map[string]func(*abi.Snapshot, *abi.Batch, []abi.Result) ([]abi.Result, error){
		"fails": func(*abi.Snapshot, *abi.Batch, []abi.Result) ([]abi.Result, error) {
			return nil, errors.New("strategy ran out of fuel")
		},
		"answers too few": func(_ *abi.Snapshot, _ *abi.Batch, r []abi.Result) ([]abi.Result, error) { return r[1:], nil },
		"overloads one node": func(_ *abi.Snapshot, _ *abi.Batch, r []abi.Result) ([]abi.Result, error) {
			return r, nil // all on row 0
		},
		"finds no node for anybody": func(_ *abi.Snapshot, _ *abi.Batch, r []abi.Result) ([]abi.Result, error) {
			for i := range r {
				r[i].Node = abi.NoNode
			}
			return r, nil
		},
		"makes up nodes": func(_ *abi.Snapshot, _ *abi.Batch, r []abi.Result) ([]abi.Result, error) {
			for i := range r {
				r[i].Node = 1 << 30
			}
			return r, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &rogue{place: place}
			w := newWorld(t, p)
			for i := range 12 {
				w.addNode(makeNode(fmt.Sprintf("n%d", i)))
			}
			w.start()
			for i := range 5 {
				w.addPod(makePod(fmt.Sprintf("%d-a", i), asking(corev1.ResourceCPU, "20")))
				start := time.Now()
				w.event(fmt.Sprintf("Scheduled %d-a", i))
				if d := time.Since(start); d > time.Second {
					t.Errorf("pod %d waited %v", i, d)
				}
				w.addPod(makePod(fmt.Sprintf("%d-b", i)))
				w.addPod(makePod(fmt.Sprintf("%d-c", i), asking(corev1.ResourceCPU, "31")))
				w.event(fmt.Sprintf("Scheduled %d-b", i))
			}
			w.event("Warning StrategyFailed")
			w.event("Warning FallenBack")
			records := w.config.Decisions.For(decision.Object{Kind: "strategy", Name: "scheduling"}, 10)
			if len(records) != 1 || records[0].Decider != "rogue@sha256:0" || records[0].Verdict != decision.FallenBack {
				t.Errorf("records of the strategy: %+v", records)
			}
			records = w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default"}, 1000)
			var failed, placed int
			for _, r := range records {
				switch {
				case r.Verdict == decision.StrategyFailed && r.Decider == "rogue@sha256:0":
					failed++
				case r.Verdict == decision.Scheduled && r.Decider == "native" && strings.Contains(r.Message, "rogue@sha256:0"):
					placed++
				}
			}
			if failed != 3 || placed < 5 {
				t.Errorf("%d failures and %d native placements on record", failed, placed)
			}
		})
	}
}

func TestPriorityGoesFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.addNode(makeNode("n"))
	for i := range 3 {
		w.addPod(makePod(fmt.Sprintf("low%d", i), asking(corev1.ResourceCPU, "12")))
	}
	high := int32(100)
	w.addPod(makePod("high", asking(corev1.ResourceCPU, "12"), func(p *corev1.Pod) { p.Spec.Priority = &high }))
	w.start()
	w.event("Scheduled high")
	w.event("FailedScheduling low")
}

func TestFailureMessage(t *testing.T) {
	got := failureMessage(5, []decision.Reason{{Message: "Insufficient cpu", Count: 3}, {Message: "Too many pods", Count: 2}})
	if diff := cmp.Diff("0/5 nodes are available: 2 Too many pods, 3 Insufficient cpu.", got); diff != "" {
		t.Error(diff)
	}
}
