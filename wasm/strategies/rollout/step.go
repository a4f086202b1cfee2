package rollout

import (
	"fmt"

	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
)

// Step answers one request.
func Step(r *abi.Request) (abi.Answer, error) {
	s := &step{r: r}
	switch {
	case r.Paused || r.Resized:
		s.answer.State = r.State
		s.scaleProportionally()
	case r.Kind == abi.Recreate:
		s.recreate()
	case r.Kind == abi.RollingUpdate:
		s.roll()
	case r.Kind == abi.Canary || r.Kind == abi.BlueGreen:
		if err := s.staged(); err != nil {
			return abi.Answer{}, err
		}
	default:
		return abi.Answer{}, fmt.Errorf("there is no rollout of kind %q", r.Kind)
	}
	return s.answer, nil
}

// step carries the working state of one Step.
type step struct {
	r      *abi.Request
	answer abi.Answer
	// scaled reports that the size of a set changes, so this step is done.
	scaled bool
}

func (s *step) size(set *abi.Set, to int32) {
	s.scaled = s.scaled || set.Size != to
	s.answer.Sizes = append(s.answer.Sizes, abi.Size{Name: set.Name, Size: to})
}

// roll is one step of a rolling update: first the new set up, then the old down.
func (s *step) roll() {
	if s.r.New == nil {
		s.create(s.r.Replicas)
		return
	}
	s.grow(s.r.Replicas)
	if !s.scaled {
		s.shrink(0)
	}
}

// create asks for the new set, with as many pods of most as there is room for.
func (s *step) create(most int32) {
	s.answer.Create, s.answer.Size = true, s.room(0, most)
}

// recreate empties the old sets, waits for their pods to end, then fills the new.
func (s *step) recreate() {
	for i := range s.r.Old {
		s.size(&s.r.Old[i], 0)
	}
	if s.scaled || s.r.OldPodsLeft {
		return
	}
	for i := range s.r.Old {
		if old := &s.r.Old[i]; !old.Seen || old.Pods > 0 {
			return
		}
	}
	if s.r.New == nil {
		s.answer.Create, s.answer.Size = true, s.r.Replicas
		return
	}
	s.size(s.r.New, s.r.Replicas)
}

// held is how many pods a set has or is to have, whichever is more: one that
// shrinks keeps its room until its pods go.
func held(set *abi.Set) int32 { return max(set.Size, set.Pods) }

func total(sets []abi.Set, of func(*abi.Set) int32) int32 {
	var n int32
	for i := range sets {
		n += of(&sets[i])
	}
	return n
}

func sizeOf(set *abi.Set) int32 { return set.Size }

// availableOf leaves out pods that are about to go: the status of a set that was just
// scaled down still counts them, and they must not be given up twice.
func availableOf(set *abi.Set) int32 { return min(set.Available, set.Size) }

// room is how large the new set, now of size current, may be next to the old ones
// on its way to wanted.
func (s *step) room(current, wanted int32) int32 {
	free := s.r.Replicas + s.r.Surge - total(s.r.Old, held) - current
	if free <= 0 {
		return current
	}
	return current + min(free, wanted-current)
}

// grow scales the new set towards wanted as far as the surge allows. It waits for
// an old set that has not seen its size yet, as that one may still make pods it was
// asked for before.
func (s *step) grow(wanted int32) {
	current := s.r.New.Size
	switch {
	case current == wanted:
	case current > wanted:
		s.size(s.r.New, wanted)
	case unseen(s.r.Old):
	default:
		s.size(s.r.New, s.room(current, wanted))
	}
}

func unseen(sets []abi.Set) bool {
	for i := range sets {
		if !sets[i].Seen {
			return true
		}
	}
	return false
}

// shrink scales the old sets down towards keep in all, as far as availability
// allows: first replicas that are not available anyway, then available ones, oldest
// set first.
func (s *step) shrink(keep int32) {
	r := s.r
	olds := total(r.Old, sizeOf)
	if olds <= keep {
		return
	}
	least := r.Replicas - r.Unavailable
	budget := min(olds+r.New.Size-least-(r.New.Size-r.New.Available), olds-keep)
	if budget <= 0 {
		return
	}
	surplus := olds - keep
	target := make([]int32, len(r.Old))
	for i := range r.Old {
		set := &r.Old[i]
		target[i] = set.Size
		if unhealthy := min(budget, set.Size-set.Available); set.Size > 0 && unhealthy > 0 {
			target[i] -= unhealthy
			budget -= unhealthy
			surplus -= unhealthy
		}
	}
	spare := min(total(r.Old, availableOf)+r.New.Available-least, surplus)
	for i := range r.Old {
		if spare <= 0 {
			break
		}
		down := min(spare, target[i])
		target[i] -= down
		spare -= down
	}
	for i := range r.Old {
		if target[i] != r.Old[i].Size {
			s.size(&r.Old[i], target[i])
		}
	}
}
