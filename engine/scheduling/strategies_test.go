package scheduling

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/wasm/abi"
)

// named always chooses the node of its number, or fails.
type named struct {
	name   string
	row    int32
	fails  atomic.Bool
	closed atomic.Int32
}

func (n *named) Identity() string { return n.name + "@sha256:0" }

func (n *named) Close() error { n.closed.Add(1); return nil }

func (n *named) Place(_ context.Context, _ *abi.Snapshot, b *abi.Batch) (abi.Answer, error) {
	if n.closed.Load() > 0 {
		return abi.Answer{}, errors.New("asked although it was closed")
	}
	if n.fails.Load() {
		return abi.Answer{}, errors.New("it broke")
	}
	results := make([]abi.Result, b.Pods())
	for i := range results {
		results[i].Node = n.row
	}
	return abi.Answer{Results: results}, nil
}

func (n *named) strategy() *Strategy {
	return &Strategy{Name: n.name, Placer: n, Health: strategy.NewHealth(false, nil)}
}

// newChoices is a world with the nodes n0, n1 and n2, of which the built-in strategy
// chooses the first, a the second and b the third.
func newChoices(t *testing.T) (w *world, a, b *named) {
	w = newWorld(t, &named{name: "built-in"})
	for i := range 3 {
		w.addNode(makeNode(fmt.Sprintf("n%d", i)))
	}
	return w, &named{name: "a", row: 1}, &named{name: "b", row: 2}
}

func bindTo(change func(*strategy.Binding)) strategy.Binding {
	b := strategy.Binding{Name: "x", Type: strategy.Scheduling, Strategy: "a", Percent: 100}
	change(&b)
	return b
}

func TestWhoDecidesAboutAPod(t *testing.T) {
	all := func(*strategy.Binding) {}
	for name, tc := range map[string]struct {
		scheduler string
		bindings  []strategy.Binding
		want      string // node, empty if nobody decides
	}{
		"nobody is bound":  {want: "n0"},
		"of the namespace": {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Namespaces = []string{"default"} })}, want: "n1"},
		"of another namespace": {
			bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Namespaces = []string{"other"} })}, want: "n0"},
		"of the label":                    {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Selector = labels.SelectorFromSet(labels.Set{"app": "web"}) })}, want: "n1"},
		"the first counts":                {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Strategy = "b" }), bindTo(all)}, want: "n2"},
		"what is not there":               {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Strategy = "c" }), bindTo(all)}, want: "n1"},
		"the built-in one, before others": {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Strategy = "" }), bindTo(all)}, want: "n0"},
		"of autoscalers":                  {bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Type = strategy.Autoscaling })}, want: "n0"},
		"its scheduler": {
			scheduler: "mine", bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Schedulers = []string{"mine"} })}, want: "n1"},
		"its scheduler, and its strategy is not there": {
			scheduler: "mine", want: "n0",
			bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Schedulers, b.Strategy = []string{"mine"}, "c" })}},
		"another scheduler": {
			bindings: []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Schedulers = []string{"mine"} })}, want: "n0"},
		"the default's binding, another scheduler": {scheduler: "mine", bindings: []strategy.Binding{bindTo(all)}},
		"a scheduler that is not ours":             {scheduler: "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			w, a, b := newChoices(t)
			w.SetStrategies([]*Strategy{a.strategy(), b.strategy()}, tc.bindings)
			w.addPod(makePod("p", func(p *corev1.Pod) {
				if tc.scheduler != "" {
					p.Spec.SchedulerName = tc.scheduler
				}
			}))
			w.addPod(makePod("last", func(p *corev1.Pod) { p.Namespace = "elsewhere" }))
			w.start()
			w.until("placement", func(pods map[string]*corev1.Pod, _ []string) bool {
				return pods["last"].Spec.NodeName != "" && pods["p"].Spec.NodeName == tc.want
			})
		})
	}
}

// TestBindingAppears: pods of a scheduler that nobody served wait, and are placed
// once somebody does.
func TestBindingAppears(t *testing.T) {
	w, a, _ := newChoices(t)
	w.addPod(makePod("p", func(p *corev1.Pod) { p.Spec.SchedulerName = "mine" }))
	w.addPod(makePod("other"))
	w.start()
	w.event("Scheduled other")
	w.SetStrategies([]*Strategy{a.strategy()}, []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Schedulers = []string{"mine"} })})
	w.event("Scheduled p: Successfully assigned default/p to n1")
	r := w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default", Name: "p"}, 1)
	if len(r) != 1 || r[0].Decider != "a@sha256:0" || r[0].Strategy != "a" {
		t.Errorf("records %+v", r)
	}
}

func TestFailingStrategyOfABinding(t *testing.T) {
	w, a, _ := newChoices(t)
	a.fails.Store(true)
	of := a.strategy()
	w.SetStrategies([]*Strategy{of}, []strategy.Binding{bindTo(func(*strategy.Binding) {})})
	w.start()
	for i := range 5 {
		w.addPod(makePod(fmt.Sprintf("p%d", i)))
		w.event(fmt.Sprintf("Scheduled p%d: Successfully assigned default/p%d to n0", i, i))
	}
	if s := of.Health.Status(); s.Failures != 3 || s.GivenUp.IsZero() {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string][]string{"p2": {decision.Scheduled, decision.FallenBack, decision.StrategyFailed}, "p4": {decision.Scheduled}} {
		records := w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default", Name: name}, 10)
		var got []string
		for _, r := range records {
			got = append(got, r.Verdict)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records of %s (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(records[0].Message, "instead of strategy a@sha256:0, which failed") {
			t.Errorf("%s: %s", name, records[0].Message)
		}
	}
	if r := w.config.Decisions.For(decision.Object{Kind: "strategy", Name: "a"}, 10); len(r) != 1 || r[0].Verdict != decision.FallenBack {
		t.Errorf("records of the strategy: %+v", r)
	}
}

func TestHoldingStrategyKeepsItsPods(t *testing.T) {
	w, a, _ := newChoices(t)
	a.fails.Store(true)
	of := a.strategy()
	of.Hold, of.Health = true, strategy.NewHealth(true, nil)
	w.SetStrategies([]*Strategy{of}, []strategy.Binding{bindTo(func(b *strategy.Binding) { b.Namespaces = []string{"default"} })})
	w.addPod(makePod("p"))
	w.addPod(makePod("elsewhere", func(p *corev1.Pod) { p.Namespace = "elsewhere" }))
	w.start()
	w.event("Scheduled elsewhere")
	w.event("FailedScheduling p: strategy a failed, and its onFailure is Hold: it broke")
	a.fails.Store(false)
	w.event("Scheduled p: Successfully assigned default/p to n1")
}

func TestTrialOfASchedulingStrategy(t *testing.T) {
	w, a, b := newChoices(t)
	alike := &named{name: "alike"}
	strategies := []*Strategy{a.strategy(), b.strategy(), alike.strategy()}
	trial := func(name string) strategy.Binding {
		return bindTo(func(b *strategy.Binding) { b.Strategy, b.Shadow, b.Namespaces = name, true, []string{"of-" + name} })
	}
	w.SetStrategies(strategies, []strategy.Binding{trial("a"), trial("b"), trial("alike")})
	b.fails.Store(true)
	for _, of := range []string{"a", "b", "alike"} {
		w.addPod(makePod(of, func(p *corev1.Pod) { p.Namespace = "of-" + of }))
	}
	w.start()
	if on := w.bound(3); on["n0"] != 3 {
		t.Fatalf("a strategy on trial decided: %v", on)
	}
	for _, of := range []string{"a", "b", "alike"} {
		w.event("Scheduled " + of)
	}
	for name, want := range map[string]string{
		"a": decision.ShadowDiffered + " n1 it would have chosen node n1", "alike": decision.ShadowAgreed + " n0 ", "b": decision.StrategyFailed + "  it broke",
	} {
		var got []string
		for _, r := range w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "of-" + name, Name: name}, 10) {
			if r.Verdict != decision.Scheduled {
				got = append(got, r.Verdict+" "+r.Target+" "+r.Message)
			}
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if s := strategies[0].Health.Status(); s.Agreed != 0 || s.Differed != 1 {
		t.Errorf("a: %+v", s)
	}
	if s := strategies[2].Health.Status(); s.Agreed != 1 || s.Differed != 0 {
		t.Errorf("alike: %+v", s)
	}
}

// TestSwapLosesNoPod replaces a strategy again and again while pods arrive; each is
// placed, by a strategy that was in force, and what was replaced is closed once.
func TestSwapLosesNoPod(t *testing.T) {
	const pods, swaps = 300, 50
	w := newWorld(t, &named{name: "built-in"})
	for i := range 3 {
		w.addNode(makeNode(fmt.Sprintf("n%d", i), func(n *corev1.Node) {
			n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("1000")
			n.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("1000")
		}))
	}
	all := make([]*named, swaps)
	for i := range all {
		all[i] = &named{name: fmt.Sprintf("s%d", i), row: int32(i % 3)}
	}
	set := func(i int) {
		s := all[i].strategy()
		s.Name = "a"
		w.SetStrategies([]*Strategy{s}, []strategy.Binding{bindTo(func(*strategy.Binding) {})})
	}
	set(0)
	w.start()
	for i := range pods {
		w.addPod(makePod(fmt.Sprintf("p%03d", i)))
		if i%6 == 5 {
			set(i / 6)
			w.until("half of the pods", func(all map[string]*corev1.Pod, _ []string) bool {
				placed := slices.DeleteFunc(slices.Collect(maps.Values(all)), func(p *corev1.Pod) bool { return p.Spec.NodeName == "" })
				return len(placed) > i/2
			})
		}
	}
	w.bound(pods)
	for _, r := range w.config.Decisions.For(decision.Object{Kind: "pod", Namespace: "default"}, 10*pods) {
		if r.Verdict != decision.Scheduled || r.Strategy != "a" {
			t.Fatalf("%+v", r)
		}
	}
	for i, s := range all[:swaps-1] {
		if n := s.closed.Load(); n != 1 {
			t.Errorf("strategy %d was closed %d times", i, n)
		}
	}
	if all[swaps-1].closed.Load() != 0 {
		t.Error("the strategy in force was closed")
	}
}
