package strategies

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/strategy"
)

// Reasons of the condition Ready of bindings, and of events.
const (
	Bound        = "Bound"
	NoStrategy   = "StrategyNotFound"
	WrongType    = "WrongType"
	NotReady     = "StrategyNotReady"
	Loading      = "StrategyLoading"
	BadSelector  = "SelectorInvalid"
	PromotedNote = "StrategyChanged"
)

// ObservedBindings is what routes and the status of bindings follow from.
type ObservedBindings struct {
	Bindings []*pintle.StrategyBinding
	// Types are of the Strategies that exist; Running those that are loaded; by name.
	Types   map[string]string
	Running map[string]*Running
	// Fresh are Strategies about which nothing is known yet: they are being loaded for
	// the first time.
	Fresh map[string]bool
	Now   time.Time
}

// BindingPlan is what a binding's status is to be, and what is to be told.
type BindingPlan struct {
	Binding *pintle.StrategyBinding
	Status  pintle.BindingStatus
	Notes   []Note
}

// PlanBindings gives the routes, the one that counts most first, and the status of
// each binding. A strategy that is not there is routed to all the same: it decides
// from the moment when it is, and the built-in one until then. Only pods that ask for
// a scheduler by name wait for its strategy to be loaded for the first time, which is
// a matter of seconds.
func PlanBindings(o ObservedBindings) ([]strategy.Binding, []BindingPlan) {
	all := slices.Clone(o.Bindings)
	slices.SortFunc(all, func(a, b *pintle.StrategyBinding) int {
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), cmp.Compare(a.Name, b.Name))
	})
	var routes []strategy.Binding
	var plans []BindingPlan
	for _, b := range all {
		of, err := routesOf(b)
		if len(b.Spec.SchedulerNames) == 0 || !o.Fresh[b.Spec.Strategy] {
			routes = append(routes, of...)
		}
		plans = append(plans, o.plan(b, err))
	}
	return routes, plans
}

// routesOf gives a binding's candidate before its strategy.
func routesOf(b *pintle.StrategyBinding) ([]strategy.Binding, error) {
	r := strategy.Binding{
		Name: b.Name, Type: b.Spec.Type, Schedulers: b.Spec.SchedulerNames, Namespaces: b.Spec.Namespaces, Percent: 100,
	}
	if b.Spec.Selector != nil {
		var err error
		if r.Selector, err = metav1.LabelSelectorAsSelector(b.Spec.Selector); err != nil {
			return nil, err
		}
	}
	var routes []strategy.Binding
	if c := b.Spec.Candidate; c != nil {
		candidate := r
		candidate.Strategy, candidate.Shadow = c.Strategy, c.Shadow
		if !c.Shadow {
			candidate.Percent = c.Percent
		}
		routes = append(routes, candidate)
	}
	if c := b.Spec.Candidate; b.Spec.Strategy == "" && c != nil && c.Shadow {
		return routes, nil // it says nothing about who decides
	}
	r.Strategy = b.Spec.Strategy
	return append(routes, r), nil
}

func (o *ObservedBindings) plan(b *pintle.StrategyBinding, fault error) BindingPlan {
	p := BindingPlan{Binding: b, Status: pintle.BindingStatus{
		ObservedGeneration: b.Generation, Active: b.Status.Active, Previous: b.Status.Previous,
	}}
	p.Status.Conditions = append(p.Status.Conditions, b.Status.Conditions...)
	c := o.ready(b)
	if fault != nil {
		c = metav1.Condition{Status: metav1.ConditionFalse, Reason: BadSelector, Message: fmt.Sprintf("spec.selector: %v", fault)}
	}
	c.Type = pintle.Ready
	if fault == nil {
		p.Notes = o.activate(b, &p.Status)
	}
	if setCondition(&p.Status.Conditions, c, b.Generation, o.Now) && c.Status == metav1.ConditionFalse && c.Reason != Loading {
		p.Notes = append(p.Notes, Note{corev1.EventTypeWarning, c.Reason, c.Message})
	}
	return p
}

// ready says whether all strategies that the binding names can decide.
func (o *ObservedBindings) ready(b *pintle.StrategyBinding) metav1.Condition {
	names := []string{b.Spec.Strategy}
	if b.Spec.Candidate != nil {
		names = append(names, b.Spec.Candidate.Strategy)
	}
	no := func(reason, format string, args ...any) metav1.Condition {
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	for _, name := range names {
		kind, ok := o.Types[name]
		switch {
		case name == "":
		case !ok:
			return no(NoStrategy, "there is no Strategy %s; until there is, what it would decide is decided without it", name)
		case kind != b.Spec.Type:
			return no(WrongType, "Strategy %s is of type %s, and the binding of type %s", name, kind, b.Spec.Type)
		case o.Fresh[name]:
			return no(Loading, "Strategy %s is being loaded", name)
		case o.Running[name] == nil:
			return no(NotReady, "Strategy %s is not loaded (its condition Ready says why); until it is, what it would decide is decided without it", name)
		}
	}
	return metav1.Condition{Status: metav1.ConditionTrue, Reason: Bound, Message: "the strategies are loaded"}
}

// activate notes which strategy decides, and which one did before: the one to name
// in a roll-back.
func (o *ObservedBindings) activate(b *pintle.StrategyBinding, next *pintle.BindingStatus) []Note {
	name := b.Spec.Strategy
	now := metav1.NewTime(o.Now.Truncate(time.Second))
	r := o.Running[name]
	switch {
	case name == "" && next.Active == nil, name != "" && (r == nil || r.Type != b.Spec.Type):
		return nil
	case name == "":
		next.Previous, next.Active = next.Active, nil
		return []Note{{corev1.EventTypeNormal, PromotedNote, fmt.Sprintf("the built-in strategy decides instead of %s", next.Previous.Strategy)}}
	case next.Active == nil:
		next.Active = &pintle.BoundRevision{Strategy: name, Digest: r.Digest, Since: now}
		return []Note{{corev1.EventTypeNormal, PromotedNote, fmt.Sprintf("%s decides", name)}}
	case next.Active.Strategy != name:
		next.Previous, next.Active = next.Active, &pintle.BoundRevision{Strategy: name, Digest: r.Digest, Since: now}
		return []Note{{corev1.EventTypeNormal, PromotedNote, fmt.Sprintf("%s decides instead of %s", name, next.Previous.Strategy)}}
	case next.Active.Digest != r.Digest:
		next.Active = &pintle.BoundRevision{Strategy: name, Digest: r.Digest, Since: next.Active.Since}
	}
	return nil
}
