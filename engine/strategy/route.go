package strategy

import (
	"bytes"
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
)

// route is who is asked: the first of chain that answers counts.
type route struct {
	chain  []*member
	shadow *member
}

// route picks by the object's annotation, else by the first binding that covers
// it. A strategy that was given up, or is not loaded, is passed over.
func (r *Router) route(q *Question) route {
	r.mu.Lock()
	defer r.mu.Unlock()
	usable := func(name string) *member {
		m := r.mu.named[q.Type+"/"+name]
		if m == nil || m.health.GivenUp() {
			return nil
		}
		return m
	}
	var out route
	var picked *member
	if name := q.Annotations[Annotation]; name != "" {
		picked = usable(name)
	}
	subject := Subject{Type: q.Type, Namespace: q.Object.Namespace, UID: q.Object.UID, Labels: q.Labels}
	for b := range Chosen(r.mu.binding, &subject, false) {
		if picked != nil || b.Strategy == "" {
			break
		}
		picked = usable(b.Strategy)
	}
	for b := range Chosen(r.mu.binding, &subject, true) {
		if out.shadow = usable(b.Strategy); out.shadow != nil {
			break
		}
	}
	if picked != nil {
		out.chain = append(out.chain, picked)
	}
	for _, name := range []string{q.Type, q.Type + " native"} {
		if m, ok := r.mu.builtin[name]; ok && !m.health.GivenUp() {
			out.chain = append(out.chain, m)
		}
	}
	return out
}

// SetBuiltin puts the built-in strategy of a type in charge of what no other is
// chosen for; native is what answers if it fails.
func (r *Router) SetBuiltin(kind string, caller, native Caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if caller != nil {
		r.mu.builtin[kind] = &member{name: "built-in " + kind, caller: caller, health: NewHealth(false, nil)}
	}
	if native != nil {
		r.mu.builtin[kind+" native"] = &member{caller: native, health: NewHealth(true, nil)}
	}
}

// Set puts a strategy in the place of the one of that type and name; questions
// under way end with the old one.
func (r *Router) Set(m Member) {
	if m.Health == nil {
		m.Health = NewHealth(m.Hold, nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.named[m.Type+"/"+m.Name] = &member{name: m.Name, caller: m.Caller, config: m.Config, hold: m.Hold, health: m.Health}
}

// Remove takes a strategy out; questions under way end with it.
func (r *Router) Remove(kind, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.named, kind+"/"+name)
}

// Bind replaces all bindings; the first that covers an object counts.
func (r *Router) Bind(bindings []Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.binding = bindings
}

// shadow asks a strategy that does not count yet, and records whether it would
// have decided alike.
func (r *Router) shadow(ctx context.Context, m *member, q *Question, acted []byte) {
	if m == nil {
		return
	}
	answer, err := r.try(ctx, m, q)
	if err != nil {
		r.failed(m, q, err)
		return
	}
	record := decision.Record{
		Time: metav1.NewMicroTime(time.Now()), Object: q.Object, Revision: q.Revision, Decider: answer.Decider,
		InputHash: answer.InputHash, Fuel: answer.Fuel, Duration: answer.Duration, Verdict: decision.ShadowAgreed,
	}
	if bytes.Equal(acted, answer.JSON) {
		m.health.Compared(1, 0)
	} else {
		m.health.Compared(0, 1)
		record.Verdict, record.Message = decision.ShadowDiffered, "it would have answered "+string(answer.JSON)
	}
	r.config.Decisions.Add(record)
}
