package autoscaling

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// longest is the longest window or period that an autoscaler may have.
const longest = time.Hour

// history is what was decided about one autoscaler, and what came of it.
type history struct {
	uid             types.UID
	recommendations []scaling.Stamp
	ups, downs      []scaling.Stamp
	state           json.RawMessage
	// tried is a change of replicas that the next look at the target confirms.
	tried    *change
	selector labels.Selector
}

type change struct {
	at       int64
	from, to int32
}

// histories of all autoscalers. A key is worked on by one worker at a time, but
// selectors are looked at across keys.
type histories struct {
	mu struct {
		sync.Mutex
		of map[reconcile.Key]*history
	}
}

func newHistories() *histories {
	h := &histories{}
	h.mu.of = map[reconcile.Key]*history{}
	return h
}

func (h *histories) forget(key reconcile.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.of, key)
}

// get returns a copy of an autoscaler's history at the sight of its target. The
// first recommendation is what the target has.
func (h *histories) get(hpa *autoscalingv2.HorizontalPodAutoscaler, replicas int32, now time.Time) history {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := reconcile.KeyOf(hpa)
	s := h.mu.of[key]
	if s == nil || s.uid != hpa.UID {
		s = &history{uid: hpa.UID, recommendations: []scaling.Stamp{{At: now.UnixMilli(), Replicas: replicas}}}
		h.mu.of[key] = s
	}
	s.confirm(replicas)
	s.prune(now.Add(-longest).UnixMilli())
	out := *s
	out.recommendations = slices.Clone(s.recommendations)
	out.ups, out.downs = slices.Clone(s.ups), slices.Clone(s.downs)
	return out
}

// confirm keeps the last change if the target shows it.
func (s *history) confirm(replicas int32) {
	c := s.tried
	s.tried = nil
	switch {
	case c == nil || replicas != c.to:
	case c.to > c.from:
		s.ups = append(s.ups, scaling.Stamp{At: c.at, Replicas: c.to - c.from})
	default:
		s.downs = append(s.downs, scaling.Stamp{At: c.at, Replicas: c.from - c.to})
	}
}

func (s *history) prune(before int64) {
	old := func(e scaling.Stamp) bool { return e.At < before }
	s.recommendations = slices.DeleteFunc(s.recommendations, old)
	s.ups, s.downs = slices.DeleteFunc(s.ups, old), slices.DeleteFunc(s.downs, old)
}

// put notes an answer.
func (h *histories) put(key reconcile.Key, a *scaling.Answer, from int32, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.mu.of[key]
	if s == nil {
		return
	}
	s.state = a.State
	if a.Recommendation != nil {
		s.recommendations = append(s.recommendations, scaling.Stamp{At: now.UnixMilli(), Replicas: *a.Recommendation})
	}
	if a.Rescale {
		s.tried = &change{at: now.UnixMilli(), from: from, to: a.Replicas}
	}
}

// owner names an autoscaler in a message as others do: {name namespace}.
type owner struct{ name, namespace string }

// rivals notes the selector of an autoscaler's target and lists, if there are
// several, the autoscalers whose targets' selectors match one of these pods.
func (h *histories) rivals(key reconcile.Key, selector labels.Selector, pods []labels.Set) []owner {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.mu.of[key]; s != nil {
		s.selector = selector
	}
	var out []owner
	for other, s := range h.mu.of {
		if other.Namespace == key.Namespace && s.selector != nil && slices.ContainsFunc(pods, func(l labels.Set) bool { return s.selector.Matches(l) }) {
			out = append(out, owner{other.Name, other.Namespace})
		}
	}
	if len(out) < 2 {
		return nil
	}
	slices.SortFunc(out, func(a, b owner) int { return slices.Compare([]string{a.name}, []string{b.name}) })
	return out
}
