package scheduling

import (
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/strategy"
)

// Strategy is a placer that bindings may name.
type Strategy struct {
	// Name of the Strategy object; empty for the built-in one.
	Name   string
	Placer Placer
	// Hold leaves pods waiting that it fails at; else the built-in one decides.
	Hold   bool
	Health *strategy.Health
}

func builtin(p Placer) *Strategy {
	if p == nil {
		return nil
	}
	return &Strategy{Placer: p, Health: strategy.NewHealth(false, nil)}
}

// setup is who decides about what.
type setup struct {
	builtin  *Strategy // nil while there is only the fallback
	named    []*Strategy
	bindings []strategy.Binding
}

// find is the strategy of that name, nil if there is none.
func (u *setup) find(name string) *Strategy {
	if i := slices.IndexFunc(u.named, func(s *Strategy) bool { return s.Name == name }); i >= 0 {
		return u.named[i]
	}
	return nil
}

// serves reports that pods of this scheduler are this one's.
func (u *setup) serves(own, scheduler string) bool {
	return scheduler == own || slices.ContainsFunc(u.bindings, func(b strategy.Binding) bool {
		return slices.Contains(b.Schedulers, scheduler)
	})
}

// handover carries a setup from whoever sets it to the loop. Placers that are
// replaced are closed by whoever is last to know of them: one that the loop has is
// closed by the loop, between two batches.
type handover struct {
	mu struct {
		sync.Mutex
		setup   setup
		changed bool
		taken   []*Strategy // by the loop
	}
}

func (h *handover) set(change func(*setup)) {
	h.mu.Lock()
	old := h.mu.setup.named
	change(&h.mu.setup)
	h.mu.changed = true
	drop := without(old, h.mu.setup.named, h.mu.taken)
	h.mu.Unlock()
	release(drop, nil)
}

// take returns the setup if it is new, and which strategies it no longer has.
func (h *handover) take() (next setup, dropped []*Strategy, changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.mu.changed {
		return setup{}, nil, false
	}
	h.mu.changed = false
	dropped = without(h.mu.taken, h.mu.setup.named)
	h.mu.taken = h.mu.setup.named
	return h.mu.setup, dropped, true
}

// without lists the strategies whose placers none of the others has.
func without(all []*Strategy, others ...[]*Strategy) []*Strategy {
	var left []*Strategy
	for _, s := range all {
		same := func(o *Strategy) bool { return o.Placer == s.Placer }
		if !slices.ContainsFunc(others, func(o []*Strategy) bool { return slices.ContainsFunc(o, same) }) {
			left = append(left, s)
		}
	}
	return left
}

func release(all []*Strategy, log *slog.Logger) {
	for _, s := range all {
		c, ok := s.Placer.(io.Closer)
		if !ok {
			continue
		}
		if err := c.Close(); err != nil && log != nil {
			log.Warn("a scheduling strategy could not be closed", "decider", s.Placer.Identity(), "err", err)
		}
	}
}

// Use makes p the built-in strategy from the next batch on. It may be called at any
// time, from any goroutine: a module that is still being compiled keeps no pod
// waiting.
func (s *Scheduler) Use(p Placer) {
	s.handover.set(func(u *setup) { u.builtin = builtin(p) })
	s.inbox.wake()
}

// SetStrategies replaces the strategies that bindings may name, and the bindings,
// from the next batch on; of these, the first that covers a pod counts. It may be
// called at any time, from any goroutine. A placer that is left out, and is an
// io.Closer, is closed once no batch needs it. A strategy that is kept must come with
// the placer and the health that it had.
func (s *Scheduler) SetStrategies(named []*Strategy, bindings []strategy.Binding) {
	s.handover.set(func(u *setup) { u.named, u.bindings = named, bindings })
	s.inbox.wake()
}

// adopt takes over what was set since the last batch.
func (s *Scheduler) adopt(now time.Time) {
	next, dropped, changed := s.handover.take()
	if !changed {
		return
	}
	if next.builtin != nil && next.builtin != s.setup.builtin {
		s.config.Logger.Info("scheduling strategy in use", "decider", next.builtin.Placer.Identity())
	}
	s.setup = next
	release(dropped, s.config.Logger)
	// Whose pods are whose may be otherwise now.
	var pods []*corev1.Pod
	for _, p := range s.queue.pods {
		pods = append(pods, p.pod)
	}
	for _, pod := range s.foreign {
		pods = append(pods, pod)
	}
	for _, pod := range pods {
		s.observePod(pod, now)
	}
	// And what one strategy found no node for, another may.
	s.queue.cured(anyReason, now)
}

// part is the pods of a batch that are decided about by the same strategies.
type part struct {
	chosen, trial *Strategy
	pods          []*pending
}

// split divides a batch by who is to decide, keeping the order of the pods of each;
// the part of the foremost pod comes first.
func (s *Scheduler) split(pods []*pending) []part {
	if len(s.setup.bindings) == 0 {
		return []part{{pods: pods}}
	}
	type key struct{ chosen, trial *Strategy }
	var parts []part
	index := map[key]int{}
	for _, p := range pods {
		var k key
		k.chosen, k.trial = s.choose(p.pod)
		i, ok := index[k]
		if !ok {
			i = len(parts)
			index[k] = i
			parts = append(parts, part{chosen: k.chosen, trial: k.trial})
		}
		parts[i].pods = append(parts[i].pods, p)
	}
	return parts
}

// choose finds who is to decide about a pod and who is on trial. What was given up is
// chosen only if nothing else is, so that its records can say so.
func (s *Scheduler) choose(pod *corev1.Pod) (chosen, trial *Strategy) {
	subject := strategy.Subject{Type: strategy.Scheduling, Namespace: pod.Namespace, UID: string(pod.UID), Labels: pod.Labels}
	if pod.Spec.SchedulerName != s.config.Name {
		subject.Scheduler = pod.Spec.SchedulerName
	}
	for b := range strategy.Chosen(s.setup.bindings, &subject, false) {
		if b.Strategy == "" {
			break
		}
		found := s.setup.find(b.Strategy)
		if found != nil && (chosen == nil || !found.Health.GivenUp()) {
			chosen = found
		}
		if chosen != nil && !chosen.Health.GivenUp() {
			break
		}
	}
	for b := range strategy.Chosen(s.setup.bindings, &subject, true) {
		if found := s.setup.find(b.Strategy); found != nil && !found.Health.GivenUp() {
			return chosen, found
		}
	}
	return chosen, nil
}
