package rollout

import (
	"cmp"
	"math"
	"slices"

	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
)

// scaleProportionally answers a change of the replicas: the only active set takes
// it all; during a rollout each takes its share.
func (s *step) scaleProportionally() {
	active := s.active(true)
	if only, ok := s.only(active); ok {
		if only != nil {
			s.size(only, s.r.Replicas)
		}
		return
	}
	if s.saturated() {
		for _, set := range s.active(false) {
			s.size(set, 0)
		}
		return
	}
	if s.r.Kind != abi.Recreate {
		s.share(active)
	}
}

// active lists the sets with a size, the newest template's last.
func (s *step) active(withNew bool) []*abi.Set {
	var out []*abi.Set
	for i := range s.r.Old {
		if s.r.Old[i].Size > 0 {
			out = append(out, &s.r.Old[i])
		}
	}
	if withNew && s.r.New != nil && s.r.New.Size > 0 {
		out = append(out, s.r.New)
	}
	return out
}

// only is the one set to scale; it is not ok if there are several.
func (s *step) only(active []*abi.Set) (*abi.Set, bool) {
	switch {
	case len(active) == 1:
		return active[0], true
	case len(active) > 1:
		return nil, false
	case s.r.New != nil:
		return s.r.New, true
	case len(s.r.Old) > 0:
		return &s.r.Old[len(s.r.Old)-1], true
	}
	return nil, false
}

// saturated reports that the new set alone has all that is wanted.
func (s *step) saturated() bool {
	n, want := s.r.New, s.r.Replicas
	return n != nil && n.Size == want && n.Desired != nil && *n.Desired == want && n.Available == want
}

// share distributes the difference over the active sets in proportion to their
// sizes, the rest to the largest.
func (s *step) share(active []*abi.Set) {
	allowed, have := int32(0), int32(0)
	if s.r.Replicas > 0 {
		allowed = s.r.Replicas + s.r.Surge
	}
	for _, set := range active {
		have += set.Size
	}
	add := allowed - have
	slices.SortStableFunc(active, func(a, b *abi.Set) int {
		age := cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.Name, b.Name))
		if add > 0 {
			age = -age
		}
		return cmp.Or(cmp.Compare(b.Size, a.Size), age)
	})
	target := make([]int32, len(active))
	added := int32(0)
	for i, set := range active {
		part := s.proportion(set, add, added)
		target[i] = set.Size + part
		added += part
	}
	for i, set := range active {
		if i == 0 {
			target[i] = max(target[i]+add-added, 0)
		}
		s.size(set, target[i])
	}
}

func (s *step) proportion(set *abi.Set, add, added int32) int32 {
	if set.Size == 0 || add == 0 || add == added {
		return 0
	}
	fraction := s.fraction(set)
	if add > 0 {
		return min(fraction, add-added)
	}
	return max(fraction, add-added)
}

// fraction is how much a set would grow if all grew by the same factor.
func (s *step) fraction(set *abi.Set) int32 {
	if s.r.Replicas == 0 {
		return -set.Size
	}
	before := s.r.Total
	if set.Max != nil && *set.Max != 0 {
		before = *set.Max
	}
	if before == 0 {
		return 0
	}
	return int32(math.Round(float64(set.Size)*float64(s.r.Replicas+s.r.Surge)/float64(before))) - set.Size
}
