// Package decision owns the decision log: what was decided about which object, by
// whom, from what input, and why. It never decides and never blocks who does: Add
// puts a record into bounded memory, and a goroutine of Log.Run hands it on to a
// Sink. A Log is safe for concurrent use; records are values and never changed
// after Add.
package decision

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GroupVersion under which records are served.
const GroupVersion = "decisions.pintle.io/v1alpha1"

// Object names what a decision is about. Kind is lower case, as in pod/NAME.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

func (o Object) String() string { return o.Kind + "/" + o.Name }

// Reason is why candidates were refused.
type Reason struct {
	// Message is in the words of events: "Insufficient cpu".
	Message string `json:"message"`
	// Count is how many candidates (nodes) it refused.
	Count int `json:"count"`
}

// Verdicts of scheduling.
const (
	Scheduled     = "Scheduled"
	Unschedulable = "Unschedulable"
	Preempting    = "Preempting"
	// StrategyFailed records that a strategy was stopped or not believed; the
	// pod got another decision by the fallback.
	StrategyFailed = "StrategyFailed"
	// FallenBack records that a strategy failed too often and decides no more.
	FallenBack = "FallenBack"
	// ShadowAgreed and ShadowDiffered compare a strategy on trial with what was
	// done.
	ShadowAgreed   = "ShadowAgreed"
	ShadowDiffered = "ShadowDiffered"
)

// Verdicts of autoscaling.
const (
	Rescaled   = "Rescaled"
	Kept       = "Kept"
	NotScaling = "NotScaling"
)

// Verdicts of admission and authorization.
const (
	Denied    = "Denied"
	Warned    = "Warned"
	WouldDeny = "WouldDeny"
)

// RolledOut is the verdict of one step of a rollout.
const RolledOut = "RolledOut"

// Record is one decision.
type Record struct {
	Time metav1.MicroTime `json:"time"`
	// Sequence orders records of one server.
	Sequence uint64 `json:"sequence"`
	// Revision of the object that was decided about (its resourceVersion).
	Revision string `json:"revision,omitempty"`
	Object   Object `json:"object"`
	// Decider is a strategy as NAME@sha256:DIGEST, "native", or a policy's name.
	Decider string `json:"decider"`
	// Strategy in charge, if it is not the one that decided or not the built-in.
	Strategy string `json:"strategy,omitempty"`
	// User asked for what was refused, with Verb.
	User string `json:"user,omitempty"`
	Verb string `json:"verb,omitempty"`
	// InputHash identifies the input, so that a replay can be compared.
	InputHash string `json:"inputHash,omitempty"`
	Verdict   string `json:"verdict"`
	// Target is what was chosen, for scheduling the node.
	Target string `json:"target,omitempty"`
	// Score of the target, 0 to 1200 for the default strategy.
	Score int64 `json:"score,omitempty"`
	// Candidates is how many there were, for scheduling nodes.
	Candidates int      `json:"candidates,omitempty"`
	Reasons    []Reason `json:"reasons,omitempty"`
	Message    string   `json:"message,omitempty"`
	// Fuel that the strategy used for this decision (its share of a batch).
	Fuel uint64 `json:"fuel,omitempty"`
	// Duration of the decision (its share of a batch).
	Duration time.Duration `json:"durationNanoseconds,omitempty"`
	// Repeats is how often the same verdict had come before, back to back.
	Repeats int `json:"repeats,omitempty"`
}

// same reports whether r says again what the record before it said.
func (r *Record) same(before *Record) bool {
	return r.Object == before.Object && r.Verdict == before.Verdict && r.Target == before.Target &&
		r.Decider == before.Decider && r.User == before.User && r.Verb == before.Verb && r.Message == before.Message && r.Verdict != Scheduled
}

// List is what is served: records of the newest decision first.
type List struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Record `json:"items"`
}

// NewList wraps records.
func NewList(records []Record) List {
	if records == nil {
		records = []Record{}
	}
	return List{TypeMeta: metav1.TypeMeta{APIVersion: GroupVersion, Kind: "DecisionList"}, Items: records}
}

func (r *Record) summary() string {
	switch r.Verdict {
	case Scheduled:
		return fmt.Sprintf("placed on node %s with score %d", r.Target, r.Score)
	case Unschedulable:
		return "no node fits"
	case Preempting:
		return "makes room on node " + r.Target
	case StrategyFailed:
		return "the strategy failed and the fallback decided instead"
	case FallenBack:
		return "the strategy failed too often; the fallback decides from here on"
	case ShadowAgreed:
		return "the strategy on trial would have decided the same"
	case ShadowDiffered:
		return "the strategy on trial would have decided otherwise"
	case Rescaled:
		return "scaled to " + r.Target
	case Kept:
		return "kept at " + r.Target
	case RolledOut:
		if r.Target == "" {
			return "left as it is"
		}
		return "sized: " + r.Target
	case Denied:
		return "denied to " + r.User
	case Warned:
		return "warned of"
	case WouldDeny:
		return "would have been denied"
	case NotScaling:
		return "not scaled"
	}
	return r.Verdict
}
