package rollout

import (
	"encoding/json"
	"strings"
	"testing"

	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
)

// world plays ReplicaSets that obey at once; fresh pods become available unless
// they are broken.
type world struct {
	t      *testing.T
	r      abi.Request
	broken bool
	answer abi.Answer
}

func newWorld(t *testing.T, kind, plan string) *world {
	return &world{t: t, r: abi.Request{
		Now: 1_700_000_000_000, Kind: kind, Replicas: 10, Surge: 3, Unavailable: 2, Plan: json.RawMessage(plan),
		Old: []abi.Set{{Name: "web-a", Hash: "a", Size: 10, Pods: 10, Available: 10, Seen: true}},
	}}
}

// step asks once and obeys.
func (w *world) step() {
	w.t.Helper()
	var err error
	if w.answer, err = Step(&w.r); err != nil {
		w.t.Fatal(err)
	}
	w.r.State = w.answer.State
	if w.answer.Create {
		w.r.New = &abi.Set{Name: "web-b", Hash: "b", Size: w.answer.Size, Pods: w.answer.Size, Seen: true}
		w.settle(w.r.New)
	}
	for _, s := range w.answer.Sizes {
		for i := range w.r.Old {
			if w.r.Old[i].Name == s.Name {
				set := &w.r.Old[i]
				set.Size, set.Pods, set.Available = s.Size, s.Size, s.Size
			}
		}
		if w.r.New.Name == s.Name {
			w.r.New.Size, w.r.New.Pods = s.Size, s.Size
			w.settle(w.r.New)
		}
	}
}

func (w *world) settle(set *abi.Set) {
	set.Available = set.Size
	if w.broken {
		set.Available = 0
	}
}

// rest steps until nothing changes any more, without letting time pass.
func (w *world) rest() {
	w.t.Helper()
	for range 50 {
		w.step()
		if !w.answer.Create && len(w.answer.Sizes) == 0 && w.answer.Wait != 1 {
			return
		}
		if serving := w.r.Old[0].Available + w.r.New.Available; serving < 8 && w.r.Kind != abi.Recreate && w.answer.Phase != abi.Aborted {
			w.t.Fatalf("%d pods serve, 8 must", serving)
		}
	}
	w.t.Fatalf("it does not come to rest: %+v", w.answer)
}

func (w *world) want(phase string, old, fresh int32, active string) {
	w.t.Helper()
	if w.answer.Phase != phase || w.r.Old[0].Size != old || w.r.New.Size != fresh || w.answer.Active != active {
		w.t.Fatalf("%s (%s), %d old and %d new pods, %q serves; want %s, %d, %d, %q",
			w.answer.Phase, w.answer.Message, w.r.Old[0].Size, w.r.New.Size, w.answer.Active, phase, old, fresh, active)
	}
}

const canary = `{"steps":[{"weight":10,"pauseSeconds":-1},{"weight":50,"pauseSeconds":60}],"analysis":[{"name":"errors","max":0.5,"failures":1}]}`

func answers(value int64) []abi.Result { return []abi.Result{{Name: "errors", Value: value}} }

func TestCanaryWaitsIsPromotedAndEnds(t *testing.T) {
	w := newWorld(t, abi.Canary, canary)
	w.r.Results = answers(100)
	w.rest()
	w.want(abi.Waiting, 9, 1, "a")
	w.r.Action = "promote:x:0" // of another template
	w.rest()
	w.want(abi.Waiting, 9, 1, "a")
	w.r.Action = "promote:b:0"
	w.rest()
	w.want(abi.Waiting, 5, 5, "a")
	w.rest() // the same word again promotes no further
	w.want(abi.Waiting, 5, 5, "a")
	w.r.Now += 60_000
	w.rest()
	w.want(abi.Complete, 0, 10, "b")
	w.rest()
	w.want(abi.Complete, 0, 10, "b")
}

func TestCanaryIsAborted(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world)
		why    string
	}{
		"by a person":   {func(w *world) { w.r.Action = "abort:b" }, "somebody"},
		"by a deadline": {func(w *world) { w.r.TimedOut = true }, "deadline"},
		"by analysis":   {func(w *world) { w.r.Results = answers(600) }, "errors is 0.6, at most 0.5"},
		"by silence":    {func(w *world) { w.r.Results = nil }, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, abi.Canary, canary)
			w.r.Results = answers(100)
			w.rest()
			tc.change(w)
			for range 2 { // one failure is allowed
				w.r.Now += askEvery
				w.rest()
			}
			w.want(abi.Aborted, 10, 0, "a")
			if !strings.Contains(w.answer.Message, tc.why) {
				t.Errorf("message %q", w.answer.Message)
			}
			w.r.Action, w.r.Results, w.r.TimedOut = "promote:b:all", answers(0), false
			w.rest()
			w.want(abi.Aborted, 10, 0, "a")
			// Another template begins anew, from what serves.
			w.r.Old = append(w.r.Old, *w.r.New)
			w.r.New = nil
			w.step()
			if !w.answer.Create || w.answer.Size != 1 || w.answer.Active != "a" {
				t.Errorf("the next rollout begins with %+v", w.answer)
			}
		})
	}
}

func TestCanaryGoesBackToWhatServes(t *testing.T) {
	w := newWorld(t, abi.Canary, canary)
	w.r.Results = answers(0)
	w.rest()
	back := w.r.Old[0]
	w.r.Old[0], w.r.New = *w.r.New, &back
	w.rest()
	w.want(abi.Complete, 0, 10, "a")
}

func TestBlueGreenSwitchesWhenAllAreThere(t *testing.T) {
	w := newWorld(t, abi.BlueGreen, `{"steps":[{"pauseSeconds":-1}]}`)
	w.broken = true
	w.rest()
	w.want(abi.Progressing, 10, 10, "a")
	w.broken = false
	w.settle(w.r.New)
	w.rest()
	w.want(abi.Waiting, 10, 10, "a")
	w.r.Action = "promote:b:0"
	w.rest()
	w.want(abi.Complete, 0, 10, "b")
}

func TestFirstRolloutHasNoSteps(t *testing.T) {
	w := newWorld(t, abi.Canary, canary)
	w.r.Old = []abi.Set{{Name: "none", Hash: "none", Seen: true}}
	w.rest()
	w.want(abi.Complete, 0, 10, "b")
}

func TestNonsensePlanIsRefused(t *testing.T) {
	w := newWorld(t, abi.Canary, `{"steps":1}`)
	if _, err := Step(&w.r); err == nil {
		t.Error("the plan is taken")
	}
}

// An old set that was just scaled down still reports the pods that will go. They do
// not serve for long, so that no other pod may be given up for them.
func TestPodsThatWillGoAreNotGivenUpTwice(t *testing.T) {
	r := abi.Request{
		Kind: abi.RollingUpdate, Replicas: 1000, Surge: 250, Unavailable: 250,
		Old: []abi.Set{{Name: "web-a", Hash: "a", Size: 733, Pods: 750, Available: 750, Seen: true}},
		New: &abi.Set{Name: "web-b", Hash: "b", Size: 500, Pods: 250, Available: 31, Seen: true},
	}
	answer, err := Step(&r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range answer.Sizes {
		if s.Name == "web-a" && s.Size+r.New.Available < r.Replicas-r.Unavailable {
			t.Errorf("%d old and %d new pods will serve, 750 must", s.Size, r.New.Available)
		}
	}
	if len(answer.Sizes) == 0 {
		t.Error("14 old pods could go")
	}
}
