// Package scaling is the contract of autoscaling strategies at level L0: what the
// engine asks `call(OpDecide, ...)` and what it takes for an answer, as JSON. It
// owns the shapes alone and imports nothing of ours, so that guests stay small.
//
// Times are milliseconds since 1970, amounts thousandths of their unit (an amount
// of CPU 250 is a quarter of a core; of memory, a thousandth of a byte). What is
// absent is zero. Unknown fields are ignored, so minor versions only add.
package scaling

import "encoding/json"

// OpDecide asks for the replicas of one autoscaler.
const OpDecide = 1

// MaxState bounds Answer.State, in bytes.
const MaxState = 16 << 10

// Kinds of metrics.
const (
	Resource          = "Resource"
	ContainerResource = "ContainerResource"
	Pods              = "Pods"
	Object            = "Object"
	External          = "External"
)

// Request is all there is to know about one autoscaler at one moment.
type Request struct {
	Now       int64  `json:"now"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Min and Max bound the replicas.
	Min int32 `json:"min"`
	Max int32 `json:"max"`
	// Replicas is what the target is asked for now, Running how many it has.
	Replicas int32     `json:"replicas"`
	Running  int32     `json:"running"`
	Behavior *Behavior `json:"behavior,omitempty"`
	// ScaledToZero reports that an earlier decision, not a user, brought the
	// target to zero.
	ScaledToZero bool `json:"scaledToZero,omitempty"`
	// Tolerances are how far the ratio of observed to wanted may be from 1.
	DownTolerance float64 `json:"downTolerance"`
	UpTolerance   float64 `json:"upTolerance"`
	// DownWindow is the stabilisation window of scaling down without Behavior.
	DownWindow int64 `json:"downWindow"`
	// Samples of CPU are not believed of a pod that is unready within
	// Initialization of its start, or was never ready since start + Readiness.
	Initialization int64 `json:"initialization"`
	Readiness      int64 `json:"readiness"`
	// Problem, if set, says why pods and metrics cannot be looked at.
	Problem *Problem `json:"problem,omitempty"`
	Metrics []Metric `json:"metrics"`
	// Pods of the target, in no particular order.
	Pods []Pod `json:"pods"`
	// Recommendations are the earlier answers' Recommendation, oldest first; Ups
	// and Downs the changes of replicas that followed, as positive numbers.
	Recommendations []Stamp `json:"recommendations,omitempty"`
	Ups             []Stamp `json:"ups,omitempty"`
	Downs           []Stamp `json:"downs,omitempty"`
	// Config is that of the Strategy object; State what the last answer for this
	// autoscaler left, if the server was not started since.
	Config json.RawMessage `json:"config,omitempty"`
	State  json.RawMessage `json:"state,omitempty"`
}

// Problem is a reason of a condition and of an event.
type Problem struct {
	Event   string `json:"event"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Error is what the event and the failure say.
	Error string `json:"error"`
}

// Behavior is spec.behavior, complete.
type Behavior struct {
	Up   Rules `json:"up"`
	Down Rules `json:"down"`
}

// Rules limit one direction. Select is Max, Min or Disabled; Window in
// milliseconds.
type Rules struct {
	Window   int64    `json:"window"`
	Select   string   `json:"select"`
	Policies []Policy `json:"policies"`
}

// Policy allows Value Pods or Percent in Period milliseconds.
type Policy struct {
	Type   string `json:"type"`
	Value  int32  `json:"value"`
	Period int64  `json:"period"`
}

// Metric is one of spec.metrics with what was observed of it.
type Metric struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Container string `json:"container,omitempty"`
	// Kind is that of the object described; Selector the metric's, for people.
	Kind     string `json:"kind,omitempty"`
	Selector string `json:"selector,omitempty"`
	// One of the targets is set: a percentage of the requests, an average per
	// pod, or a value.
	Utilization  *int32 `json:"utilization,omitempty"`
	AverageValue *int64 `json:"averageValue,omitempty"`
	Value        *int64 `json:"value,omitempty"`
	// Error says why nothing was observed; RequestError why a pod's request is
	// unknown.
	Error        string `json:"error,omitempty"`
	RequestError string `json:"requestError,omitempty"`
	// Observed is the amount of Object and External metrics.
	Observed int64 `json:"observed,omitempty"`
	// Samples are one for each pod that has one; Requests are those of the pods,
	// in their order.
	Samples  []Sample `json:"samples,omitempty"`
	Requests []int64  `json:"requests,omitempty"`
}

// Sample is a pod's amount. Pod is its index in Request.Pods, -1 for one that is
// not there. At is the end of the window it was measured over.
type Sample struct {
	Pod    int   `json:"pod"`
	Value  int64 `json:"value"`
	At     int64 `json:"at,omitempty"`
	Window int64 `json:"window,omitempty"`
}

// Pod is what counts of a pod. Ready is True, False, Unknown, or empty without the
// condition; Since is when it changed.
type Pod struct {
	Phase    string `json:"phase"`
	Deleting bool   `json:"deleting,omitempty"`
	Ready    string `json:"ready,omitempty"`
	Since    int64  `json:"since,omitempty"`
	Start    int64  `json:"start,omitempty"`
}

// Stamp is a number of replicas at a time.
type Stamp struct {
	At       int64 `json:"at"`
	Replicas int32 `json:"replicas"`
}

// Answer is what shall be done. The engine refuses one that leaves Min and Max.
type Answer struct {
	// Replicas wanted; they are set if Rescale.
	Replicas int32  `json:"replicas"`
	Rescale  bool   `json:"rescale,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Recommendation is what the metrics ask for before windows and policies.
	Recommendation *int32 `json:"recommendation,omitempty"`
	// Metrics are in the order of the request's.
	Metrics    []Outcome   `json:"metrics,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Events     []Event     `json:"events,omitempty"`
	// Error, if not empty, says that no or not all metrics could be used.
	Error string          `json:"error,omitempty"`
	State json.RawMessage `json:"state,omitempty"`
}

// Outcome is what one metric came to: what is shown as current, and the replicas
// it asks for, or an Error.
type Outcome struct {
	Utilization  *int32 `json:"utilization,omitempty"`
	AverageValue *int64 `json:"averageValue,omitempty"`
	Value        *int64 `json:"value,omitempty"`
	Replicas     int32  `json:"replicas"`
	Label        string `json:"label,omitempty"`
	Error        string `json:"error,omitempty"`
}

// Condition of the autoscaler: AbleToScale, ScalingActive, ScalingLimited.
type Condition struct {
	Type    string `json:"type"`
	Status  bool   `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Event about the autoscaler, a warning.
type Event struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
