package strategy

import (
	"hash/fnv"
	"iter"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
)

// Binding says which objects use which strategy.
type Binding struct {
	// Name of the StrategyBinding, for people.
	Name string
	Type string
	// Strategy is empty for the built-in one.
	Strategy string
	// Schedulers are the schedulerNames of the pods that it is for; empty means those
	// of the default scheduler. Other types have none.
	Schedulers []string
	// Namespaces that it is for; empty means all. Selector selects objects by
	// label; nil selects all.
	Namespaces []string
	Selector   labels.Selector
	// Percent of the objects, chosen by their UID, that use it; the others use
	// what they would without it. 100 is all.
	Percent int
	// Shadow asks the strategy and records what differs, but does not act on it.
	Shadow bool
}

// Subject is what a strategy is chosen for.
type Subject struct {
	Type, Namespace, UID string
	// Scheduler is a pod's schedulerName, empty for the default one.
	Scheduler string
	Labels    map[string]string
}

func (b *Binding) covers(s *Subject) bool {
	if b.Type != s.Type || len(b.Namespaces) > 0 && !slices.Contains(b.Namespaces, s.Namespace) {
		return false
	}
	if len(b.Schedulers) == 0 && s.Scheduler != "" || len(b.Schedulers) > 0 && !slices.Contains(b.Schedulers, s.Scheduler) {
		return false
	}
	return b.Selector == nil || b.Selector.Matches(labels.Set(s.Labels))
}

// Chosen are the bindings that choose a strategy for the subject, the first of
// which counts; or, with shadow, those that put one on trial.
func Chosen(bindings []Binding, s *Subject, shadow bool) iter.Seq[*Binding] {
	return func(yield func(*Binding) bool) {
		for i := range bindings {
			b := &bindings[i]
			if b.Shadow == shadow && b.covers(s) && chosen(s.UID, b.Percent) && !yield(b) {
				return
			}
		}
	}
}

// chosen reports that an object is among the first percent of all; it stays so
// while the percentage grows.
func chosen(uid string, percent int) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid))
	// The low bits of FNV mix well only over longer inputs: fold the high ones in.
	sum := h.Sum32()
	return int((sum^sum>>16)%100) < percent
}
