// Package rollout is the contract of rollout strategies at level L0: what the
// engine asks `call(OpStep, ...)` about a Deployment and its ReplicaSets, and what
// it takes for an answer, as JSON. It owns the shapes alone and imports nothing of
// ours. Times are milliseconds since 1970. Unknown fields are ignored, so minor
// versions only add.
package rollout

import "encoding/json"

// OpStep asks for the next step of one Deployment.
const OpStep = 2

// MaxState bounds Answer.State, in bytes: it is kept in an annotation.
const MaxState = 4 << 10

// Kinds of rollouts.
const (
	RollingUpdate = "RollingUpdate"
	Recreate      = "Recreate"
	Canary        = "Canary"
	BlueGreen     = "BlueGreen"
)

// Request is all there is to know about one Deployment at one moment.
type Request struct {
	Now       int64  `json:"now"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	// Replicas wanted, how many there may be beyond, and how many may be missing.
	Replicas    int32 `json:"replicas"`
	Surge       int32 `json:"surge"`
	Unavailable int32 `json:"unavailable"`
	// Total is how many pods the last status counted.
	Total int32 `json:"total"`
	// Paused asks for no progress; Resized reports that Replicas changed, which is
	// answered before the rollout goes on.
	Paused  bool `json:"paused,omitempty"`
	Resized bool `json:"resized,omitempty"`
	// OldPodsLeft reports pods of old sets that are not finished (for Recreate).
	OldPodsLeft bool `json:"oldPodsLeft,omitempty"`
	// TimedOut reports that the progress deadline has passed.
	TimedOut bool `json:"timedOut,omitempty"`
	// New is the set of the current template, absent before it is made; Old are
	// all others, oldest first.
	New *Set  `json:"new,omitempty"`
	Old []Set `json:"old,omitempty"`
	// Plan is what the user wrote; Action what a person asked for last.
	Plan   json.RawMessage `json:"plan,omitempty"`
	Action string          `json:"action,omitempty"`
	// Results answer the queries that the plan names.
	Results []Result `json:"results,omitempty"`
	// Config is that of the Strategy object; State what the last answer left.
	Config json.RawMessage `json:"config,omitempty"`
	State  json.RawMessage `json:"state,omitempty"`
}

// Set is one ReplicaSet.
type Set struct {
	Name    string `json:"name"`
	Hash    string `json:"hash"`
	Created int64  `json:"created"`
	// Size is what it is asked for; the others what it has.
	Size      int32 `json:"size"`
	Pods      int32 `json:"pods"`
	Available int32 `json:"available"`
	// Seen reports that its controller knows its size.
	Seen bool `json:"seen"`
	// Desired and Max are the Deployment's replicas, and with the surge, when it
	// was last sized; absent if it never was.
	Desired *int32 `json:"desired,omitempty"`
	Max     *int32 `json:"max,omitempty"`
}

// Result answers one query: Value in thousandths, or Error.
type Result struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
	Error string `json:"error,omitempty"`
}

// Phases of a rollout.
const (
	Progressing = "Progressing"
	Waiting     = "Paused"
	Aborted     = "Aborted"
	Complete    = "Complete"
)

// Answer is what shall be done.
type Answer struct {
	// Create asks for the set of the current template, with Size pods.
	Create bool  `json:"create,omitempty"`
	Size   int32 `json:"size,omitempty"`
	// Sizes are those of sets that are to be sized, in this order.
	Sizes []Size `json:"sizes,omitempty"`
	// Wait is when to ask again at the latest, in milliseconds.
	Wait int64 `json:"wait,omitempty"`
	// Phase and Message tell people; a phase is kept only for kinds beyond
	// RollingUpdate and Recreate.
	Phase   string `json:"phase,omitempty"`
	Message string `json:"message,omitempty"`
	// Active is the hash of the set that a Service of the rollout shall select.
	Active string          `json:"active,omitempty"`
	State  json.RawMessage `json:"state,omitempty"`
}

// Size of a set.
type Size struct {
	Name string `json:"name"`
	Size int32  `json:"size"`
}
