package strategies

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/strategy"
)

// Reasons of the condition Ready, and of events.
const (
	Loadable       = "Loaded"
	RolledBack     = "RolledBack"
	NotFound       = "ModuleNotFound"
	DigestMismatch = "DigestMismatch"
	BadSignature   = "SignatureInvalid"
	Refused        = "Refused"
)

// Fault is why the module that is asked for does not run.
type Fault struct {
	// Reason is one of those above.
	Reason, Message string
}

func (f *Fault) Error() string { return f.Message }

// Running is a strategy that is loaded.
type Running struct {
	Type, Digest, Source, ABI string
	Instances                 int
	Status                    strategy.Status
	WhyGivenUp                string
}

// Observed is what the status of a Strategy follows from.
type Observed struct {
	Strategy *pintle.Strategy
	// Running is nil while nothing is loaded; Fault, if not nil, says why what runs
	// is not what the spec asks for.
	Running *Running
	Fault   *Fault
	Now     time.Time
}

// Note is an event.
type Note struct{ Type, Reason, Message string }

// Plan is the status that a Strategy is to have, and what is to be told.
func Plan(o Observed) (pintle.StrategyStatus, []Note) {
	s := o.Strategy
	next := pintle.StrategyStatus{ObservedGeneration: s.Generation, Active: s.Status.Active, Previous: s.Status.Previous}
	next.Conditions = append(next.Conditions, s.Status.Conditions...)
	var notes []Note
	if r := o.Running; r != nil {
		notes = append(notes, o.activate(&next)...)
		next.ABI, next.Instances, next.Calls, next.Failures = r.ABI, int64(r.Instances), r.Status.Calls, r.Status.Failures
		next.LastFailure = r.Status.LastFailure
		if r.Status.Calls > 0 {
			next.Latency = &pintle.Latency{P50: rounded(r.Status.LatencyP50), P99: rounded(r.Status.LatencyP99)}
			next.Fuel = &pintle.Fuel{P50: int64(r.Status.FuelP50), P99: int64(r.Status.FuelP99)}
		}
		if r.Status.Agreed+r.Status.Differed > 0 {
			next.Shadow = &pintle.Shadow{Agreed: r.Status.Agreed, Differed: r.Status.Differed}
		}
	} else {
		next.Active = nil
		if s.Status.Active != nil {
			next.Previous = s.Status.Active
		}
	}
	ready := o.ready()
	if o.set(&next, ready) && o.Fault != nil {
		notes = append(notes, Note{corev1.EventTypeWarning, ready.Reason, ready.Message})
	}
	fallen := o.fallen()
	if o.set(&next, fallen) && fallen.Status == metav1.ConditionTrue {
		notes = append(notes, Note{corev1.EventTypeWarning, decision.FallenBack, fallen.Message})
	}
	return next, notes
}

// activate notes which module runs, and which one did before.
func (o *Observed) activate(next *pintle.StrategyStatus) []Note {
	r := o.Running
	if next.Active != nil && next.Active.Digest == r.Digest {
		return nil
	}
	message := fmt.Sprintf("%s of %s is in use", r.Digest, r.Source)
	if next.Active != nil {
		next.Previous = next.Active
		message += " instead of " + next.Active.Digest
	}
	next.Active = &pintle.Revision{Digest: r.Digest, Source: r.Source, Since: metav1.NewTime(o.Now.Truncate(time.Second))}
	return []Note{{corev1.EventTypeNormal, Loadable, message}}
}

func (o *Observed) ready() metav1.Condition {
	c := metav1.Condition{Type: pintle.Ready, Status: metav1.ConditionTrue, Reason: Loadable}
	switch {
	case o.Fault != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, o.Fault.Reason, o.Fault.Message
		if o.Running != nil {
			c.Message += "; " + o.Running.Digest + " stays in use"
		} else {
			c.Message += "; the built-in strategy decides"
		}
	case o.Strategy.Spec.RollbackTo != "":
		c.Reason, c.Message = RolledBack, fmt.Sprintf("%s is in use, as rollbackTo asks for, whatever %s has", o.Running.Digest, o.Strategy.Spec.Module.String())
	default:
		c.Message = fmt.Sprintf("%s of %s is in use", o.Running.Digest, o.Running.Source)
	}
	return c
}

func (o *Observed) fallen() metav1.Condition {
	c := metav1.Condition{Type: pintle.FallenBack, Status: metav1.ConditionFalse, Reason: "Deciding", Message: "it has not failed too often"}
	switch {
	case o.Running == nil:
		c.Reason, c.Message = "NotLoaded", "nothing is loaded that could fail"
	case !o.Running.Status.GivenUp.IsZero():
		c.Status, c.Reason = metav1.ConditionTrue, "FailedTooOften"
		c.Message = fmt.Sprintf("%s %s; the built-in strategy decides until the object or its module changes", o.Running.Digest, o.Running.WhyGivenUp)
	}
	return c
}

// set puts a condition in and reports whether it says anything new.
func (o *Observed) set(status *pintle.StrategyStatus, c metav1.Condition) bool {
	return setCondition(&status.Conditions, c, o.Strategy.Generation, o.Now)
}

func setCondition(all *[]metav1.Condition, c metav1.Condition, generation int64, now time.Time) bool {
	c.ObservedGeneration = generation
	c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
	before := meta.FindStatusCondition(*all, c.Type)
	news := before == nil || before.Status != c.Status || before.Reason != c.Reason || before.Message != c.Message
	meta.SetStatusCondition(all, c)
	return news
}

// rounded gives a duration three digits.
func rounded(d time.Duration) string {
	for unit := time.Second; unit >= time.Nanosecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.String()
}
