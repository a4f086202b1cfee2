package reconcile

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Key names what is reconciled; Namespace is empty for cluster-scoped objects.
type Key = types.NamespacedName

// KeyOf is the key of an object itself.
func KeyOf(obj metav1.Object) Key {
	return Key{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// Result is what a plan wants done.
type Result struct {
	// Actions run in order, up to the first failure. The resourceVersion of an
	// object is a precondition; if an earlier action of the plan wrote the same
	// object, it is the one that write gave.
	Actions []Action
	// OnFailure, if set, gives the actions that report a failure (a condition,
	// an event). It must be pure. The failed key is retried all the same.
	OnFailure func(Failure) []Action
	// RequeueAfter, if positive, plans the key again after that time.
	RequeueAfter time.Duration
}

// Add appends actions.
func (r *Result) Add(actions ...Action) { r.Actions = append(r.Actions, actions...) }

// RequeueIn asks for another plan after d, unless an earlier one is asked for.
func (r *Result) RequeueIn(d time.Duration) {
	d = max(d, time.Millisecond)
	if r.RequeueAfter == 0 || d < r.RequeueAfter {
		r.RequeueAfter = d
	}
}

// Failure is how the actions of a plan ended.
type Failure struct {
	Action Action
	Err    error
	// Done counts the members of a failed Batch that succeeded.
	Done int
}

// Action is one of Create, Update, UpdateStatus, Patch, Delete, DeleteCollection,
// Request, Event and Batch.
type Action interface{ action() }

// Create creates an object.
type Create struct {
	Object   runtime.Object
	Announce *Announce
}

// Update replaces an object, or what one of its subresources covers; its
// resourceVersion is the precondition.
type Update struct {
	Object      runtime.Object
	Subresource string
	Announce    *Announce
}

// UpdateStatus replaces an object's status; its resourceVersion is the precondition.
type UpdateStatus struct {
	Object runtime.Object
}

// Patch changes an object without reading it first. It is slower than Update and
// meant for kinds that are not built in.
type Patch struct {
	Resource        schema.GroupVersionResource
	Namespace, Name string
	Type            types.PatchType
	Data            []byte
	Subresource     string
}

// Delete deletes an object; UID and ResourceVersion, if not empty, are
// preconditions. An object that is already gone counts as deleted.
type Delete struct {
	Resource           schema.GroupVersionResource
	Namespace, Name    string
	UID                types.UID
	ResourceVersion    string
	Propagation        metav1.DeletionPropagation
	GracePeriodSeconds *int64
	Announce           *Announce
}

// DeleteCollection deletes all objects of a resource in a namespace.
type DeleteCollection struct {
	Resource  schema.GroupVersionResource
	Namespace string
}

// Request asks the API server for something that is no object: a node's agent,
// through the node's proxy. Any answer but 2xx is a failure.
type Request struct {
	Method, Path string
}

// Event records an event about an object.
type Event struct {
	About   runtime.Object
	Type    string
	Reason  string
	Message string
}

// Batch runs homogeneous actions in parallel, in rounds of 1, 2, 4 ... so that a
// write that cannot succeed is tried once, not a thousand times. It stops after
// the round in which one failed.
type Batch []Action

func (Create) action()           {}
func (Update) action()           {}
func (UpdateStatus) action()     {}
func (Patch) action()            {}
func (Delete) action()           {}
func (DeleteCollection) action() {}
func (Request) action()          {}
func (Event) action()            {}
func (Batch) action()            {}

// Announce records an event about another object when an action ends: Done with
// the name of the object written, Failed with the error. A Message without a
// Reason is not recorded.
type Announce struct {
	About        runtime.Object
	Done, Failed Message
}

// Message is an event to be completed: Format has one verb, the name (or
// namespace/name) of the object for Done, the error for Failed.
type Message struct {
	Type, Reason, Format string
}

// DeleteOf deletes obj and nothing that took its name since.
func DeleteOf(gvr schema.GroupVersionResource, obj metav1.Object) Delete {
	return Delete{Resource: gvr, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID()}
}

func nameOf(obj runtime.Object) string {
	if m, err := meta.Accessor(obj); err == nil {
		return m.GetName()
	}
	return ""
}
