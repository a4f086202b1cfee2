package strategy

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/decision"
)

// Binding says which objects use which strategy.
type Binding struct {
	// Name of the StrategyBinding, for people.
	Name     string
	Type     string
	Strategy string
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

func (b *Binding) covers(q *Question) bool {
	if b.Type != q.Type || len(b.Namespaces) > 0 && !slices.Contains(b.Namespaces, q.Object.Namespace) {
		return false
	}
	return b.Selector == nil || b.Selector.Matches(labels.Set(q.Labels))
}

// chosen reports that an object is among the first percent of all; it stays so
// while the percentage grows.
func chosen(o decision.Object, percent int) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(o.UID))
	// The low bits of FNV mix well only over longer inputs: fold the high ones in.
	sum := h.Sum32()
	return int((sum^sum>>16)%100) < percent
}

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
	var out route
	use := func(name string) bool {
		m, ok := r.mu.named[q.Type+"/"+name]
		if !ok || !m.givenUp.IsZero() {
			return false
		}
		out.chain = append(out.chain, m)
		return true
	}
	picked := false
	if name := q.Annotations[Annotation]; name != "" {
		picked = use(name)
	}
	for i := range r.mu.binding {
		b := &r.mu.binding[i]
		if !b.covers(q) || !chosen(q.Object, b.Percent) {
			continue
		}
		if b.Shadow {
			if m := r.mu.named[q.Type+"/"+b.Strategy]; out.shadow == nil && m != nil && m.givenUp.IsZero() {
				out.shadow = m
			}
			continue
		}
		if !picked {
			picked = use(b.Strategy)
		}
	}
	for _, name := range []string{q.Type, q.Type + " native"} {
		if m, ok := r.mu.builtin[name]; ok && m.givenUp.IsZero() {
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
		r.mu.builtin[kind] = &member{name: "built-in " + kind, caller: caller}
	}
	if native != nil {
		r.mu.builtin[kind+" native"] = &member{caller: native}
	}
}

// Set puts a strategy in the place of the one of that type and name; questions
// under way end with the old one. A nil caller removes it.
func (r *Router) Set(kind, name string, caller Caller, config json.RawMessage, hold bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if caller == nil {
		delete(r.mu.named, kind+"/"+name)
		return
	}
	r.mu.named[kind+"/"+name] = &member{name: name, caller: caller, config: config, hold: hold}
}

// Bind replaces all bindings; the first that covers an object counts.
func (r *Router) Bind(bindings []Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.binding = bindings
}

// Status tells of a strategy; ok is false if there is none of that name.
func (r *Router) Status(kind, name string) (status Status, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.mu.named[kind+"/"+name]
	if !ok {
		return Status{}, false
	}
	return m.status(), true
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
	if !bytes.Equal(acted, answer.JSON) {
		record.Verdict, record.Message = decision.ShadowDiffered, "it would have answered "+string(answer.JSON)
	}
	r.config.Decisions.Add(record)
}
