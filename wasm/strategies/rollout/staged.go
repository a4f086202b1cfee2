package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
)

// Plan is what a user writes about a canary or blue-green rollout.
type Plan struct {
	// Steps of a canary; without them it goes to the end at once. A blue-green
	// rollout has one, whose weight does not count.
	Steps []Stage `json:"steps,omitempty"`
	// Analysis holds while the rollout is under way.
	Analysis []Analysis `json:"analysis,omitempty"`
}

// Stage is one step.
type Stage struct {
	// Weight is the share of the new pods, in percent.
	Weight int32 `json:"weight,omitempty"`
	// PauseSeconds is how long it lasts once its pods are available; -1 until
	// somebody promotes it.
	PauseSeconds int64 `json:"pauseSeconds,omitempty"`
}

// Analysis is a query whose answer must stay within bounds. The engine reads the
// query itself.
type Analysis struct {
	Name string   `json:"name"`
	Min  *float64 `json:"min,omitempty"`
	Max  *float64 `json:"max,omitempty"`
	// Failures is how many answers in a row may be out of bounds, or missing,
	// before the rollout is aborted (default 0).
	Failures int32 `json:"failures,omitempty"`
}

// place is where a rollout is; it is kept in the answer's state.
type place struct {
	// Hash of the template that is rolled out, and of the one that serves.
	Hash   string `json:"hash"`
	Stable string `json:"stable,omitempty"`
	Step   int    `json:"step"`
	// Since is when the step's pods were all available.
	Since   int64  `json:"since,omitempty"`
	Aborted string `json:"aborted,omitempty"`
	Done    bool   `json:"done,omitempty"`
	// Failed counts answers in a row that were out of bounds, by query; Asked is
	// when they were last counted.
	Failed map[string]int32 `json:"failed,omitempty"`
	Asked  int64            `json:"asked,omitempty"`
}

// askEvery is how far apart answers to queries count, in milliseconds.
const askEvery = 10_000

// staged is one step of a canary or blue-green rollout.
func (s *step) staged() error {
	var plan Plan
	if len(s.r.Plan) > 0 {
		if err := json.Unmarshal(s.r.Plan, &plan); err != nil {
			return fmt.Errorf("the rollout's plan: %w", err)
		}
	}
	var at place
	if len(s.r.State) > 0 && json.Unmarshal(s.r.State, &at) != nil {
		at = place{} // another strategy's
	}
	if s.r.New == nil {
		s.begin(&plan, at.Stable)
		return nil
	}
	switch hash := s.r.New.Hash; {
	case hash == at.Hash:
	case hash == at.Stable: // back to what serves
		at = place{Hash: hash}
	default:
		at = place{Hash: hash, Stable: s.serving(at.Stable)}
	}
	s.obey(&at)
	s.advance(&plan, &at)
	state, err := json.Marshal(&at)
	s.answer.State = state
	return err
}

// begin makes the new set: all of it if nothing serves yet.
func (s *step) begin(plan *Plan, stable string) {
	s.answer.State, s.answer.Phase = s.r.State, abi.Progressing
	serving := s.serving(stable)
	s.answer.Active = serving
	switch {
	case serving == "":
		s.create(s.r.Replicas)
	case s.r.Kind == abi.BlueGreen:
		s.answer.Create, s.answer.Size = true, s.r.Replicas
	default:
		s.create(s.first(plan))
	}
}

// first is how many pods a canary begins with.
func (s *step) first(plan *Plan) int32 {
	if len(plan.Steps) == 0 {
		return s.r.Replicas
	}
	return s.canary(plan.Steps[0].Weight)
}

// serving is the set that serves: the one rolled out last if it still does, else
// the largest old one.
func (s *step) serving(last string) string {
	best := -1
	for i := range s.r.Old {
		set := &s.r.Old[i]
		if set.Hash == last && set.Available > 0 {
			return last
		}
		if set.Size > 0 && (best < 0 || set.Available >= s.r.Old[best].Available) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return s.r.Old[best].Hash
}

// obey does what a person asked for, if it is about this place: "abort:HASH",
// "promote:HASH:STEP" and "promote:HASH:all".
func (s *step) obey(at *place) {
	parts := strings.Split(s.r.Action, ":")
	if len(parts) < 2 || parts[1] != at.Hash || at.Done {
		return
	}
	switch {
	case parts[0] == "abort" && at.Aborted == "":
		at.Aborted = "somebody aborted it"
	case parts[0] == "promote" && len(parts) == 3 && at.Aborted == "" && parts[2] == "all":
		at.Step, at.Since = 1<<16, 0
	case parts[0] == "promote" && len(parts) == 3 && at.Aborted == "" && parts[2] == fmt.Sprint(at.Step):
		at.Step, at.Since = at.Step+1, 0
	}
}

// advance sizes the sets for the place, and goes on if its time has come.
func (s *step) advance(plan *Plan, at *place) {
	r := s.r
	if !at.Done && at.Stable != "" && at.Aborted == "" {
		s.judge(plan, at)
	}
	stages := plan.Steps
	if r.Kind == abi.BlueGreen {
		stages = append(slices.Clone(stages), Stage{})[:1]
	}
	switch {
	case at.Aborted != "":
		s.goBack(at)
	case at.Done || at.Stable == "" || at.Step >= len(stages):
		s.finish(at)
	default:
		s.stage(&stages[at.Step], at, len(stages))
	}
}

// judge aborts a rollout whose deadline passed or whose queries are out of bounds.
func (s *step) judge(plan *Plan, at *place) {
	r := s.r
	if r.TimedOut {
		at.Aborted = "its pods did not become available before the progress deadline"
		return
	}
	if len(plan.Analysis) == 0 {
		return
	}
	if wait := at.Asked + askEvery - r.Now; wait > 0 {
		s.wait(wait)
		return
	}
	at.Asked = r.Now
	s.wait(askEvery)
	for i := range plan.Analysis {
		a := &plan.Analysis[i]
		wrong := outOfBounds(a, r.Results)
		if wrong == "" {
			delete(at.Failed, a.Name)
			continue
		}
		if at.Failed == nil {
			at.Failed = map[string]int32{}
		}
		at.Failed[a.Name]++
		if at.Failed[a.Name] > a.Failures {
			at.Aborted = wrong
			return
		}
	}
}

func outOfBounds(a *Analysis, results []abi.Result) string {
	for i := range results {
		v := &results[i]
		value := float64(v.Value) / 1000
		switch {
		case v.Name != a.Name:
			continue
		case v.Error != "":
			return fmt.Sprintf("analysis %s has no answer: %s", a.Name, v.Error)
		case a.Max != nil && value > *a.Max:
			return fmt.Sprintf("analysis %s is %g, at most %g is allowed", a.Name, value, *a.Max)
		case a.Min != nil && value < *a.Min:
			return fmt.Sprintf("analysis %s is %g, at least %g is wanted", a.Name, value, *a.Min)
		}
		return ""
	}
	return "analysis " + a.Name + " has no answer"
}

// canary is how many pods a weight is: at least one, but not all before the end.
func (s *step) canary(weight int32) int32 {
	n := int32((int64(s.r.Replicas)*int64(min(max(weight, 0), 100)) + 99) / 100)
	if weight > 0 && weight < 100 && s.r.Replicas > 1 {
		n = min(max(n, 1), s.r.Replicas-1)
	}
	return n
}

// stage brings the sets to one step's sizes and waits there.
func (s *step) stage(stage *Stage, at *place, of int) {
	r := s.r
	wanted, keep := s.canary(stage.Weight), r.Replicas-s.canary(stage.Weight)
	s.answer.Phase, s.answer.Active = abi.Progressing, at.Stable
	if r.Kind == abi.BlueGreen {
		wanted, keep = r.Replicas, r.Replicas
		s.answer.Message = fmt.Sprintf("%d of %d new pods are available beside those that serve", r.New.Available, wanted)
		if r.New.Size != wanted {
			s.size(r.New, wanted)
		}
	} else {
		s.answer.Message = fmt.Sprintf("step %d of %d: %d of %d new pods are available, %d%%", at.Step+1, of, r.New.Available, wanted, stage.Weight)
		s.grow(wanted)
		if !s.scaled {
			s.shrink(keep)
		}
	}
	if s.scaled || r.New.Available < wanted || total(r.Old, sizeOf) > keep {
		at.Since = 0
		return
	}
	if at.Since == 0 {
		at.Since = r.Now
	}
	rest := at.Since + 1000*stage.PauseSeconds - r.Now
	switch {
	case stage.PauseSeconds < 0:
		s.answer.Phase = abi.Waiting
		s.answer.Message += "; it waits to be promoted"
	case rest > 0:
		s.answer.Phase = abi.Waiting
		s.answer.Message += fmt.Sprintf("; it stays so for %d s", stage.PauseSeconds)
		s.wait(rest)
	default:
		at.Step, at.Since = at.Step+1, 0
		s.wait(1)
	}
}

// finish gives the new set everything.
func (s *step) finish(at *place) {
	r := s.r
	s.answer.Phase, s.answer.Active = abi.Progressing, at.Hash
	s.grow(r.Replicas)
	if !s.scaled {
		s.shrink(0)
	}
	s.answer.Message = fmt.Sprintf("%d of %d new pods are available, %d old ones are left", r.New.Available, r.Replicas, total(r.Old, held))
	if at.Done || !s.scaled && r.New.Available >= r.Replicas && total(r.Old, held) == 0 {
		*at = place{Hash: at.Hash, Stable: at.Hash, Step: at.Step, Done: true}
		s.answer.Phase, s.answer.Message = abi.Complete, ""
	}
}

// goBack gives the set that served everything again, and empties the new one.
func (s *step) goBack(at *place) {
	r := s.r
	s.answer.Phase, s.answer.Active, s.answer.Message = abi.Aborted, at.Stable, at.Aborted
	if i := slices.IndexFunc(r.Old, func(set abi.Set) bool { return set.Hash == at.Stable }); i >= 0 {
		stable := &r.Old[i]
		if stable.Size != r.Replicas {
			s.size(stable, r.Replicas)
		}
	}
	if r.New.Size != 0 {
		s.size(r.New, 0)
	}
}

func (s *step) wait(ms int64) {
	if s.answer.Wait == 0 || ms < s.answer.Wait {
		s.answer.Wait = max(ms, 1)
	}
}
