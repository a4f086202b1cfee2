// Package replicaset keeps as many pods running as a ReplicaSet asks for: it
// adopts and releases by selector, creates from the template, deletes the least
// useful first, and reports. Plan decides; the reconcile loop acts.
package replicaset

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the pods' owner references.
var Kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// burst bounds the pods created or deleted by one plan.
const burst = 500

// Observed is the snapshot of one ReplicaSet.
type Observed struct {
	ReplicaSet *appsv1.ReplicaSet
	// Kind is the kind the pods name as their owner; zero is ReplicaSet itself.
	Kind schema.GroupVersionKind
	// Pods are those it controls and the orphans its selector selects.
	Pods []*corev1.Pod
	// Related are the pods of all ReplicaSets with the same owner; they spread
	// deletions over nodes.
	Related []*corev1.Pod
	Now     time.Time
}

// Plan decides what to do about one ReplicaSet.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	rs := o.ReplicaSet
	if o.Kind.Empty() {
		o.Kind = Kind
	}
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return result // validation refuses such selectors
	}
	pods, release, adopt := owned.Claim(rs, selector, o.Pods)
	for _, pod := range release {
		freed := pod.DeepCopy()
		freed.OwnerReferences = owned.Without(pod.OwnerReferences, rs.UID)
		result.Add(reconcile.Update{Object: freed})
	}
	for _, pod := range adopt {
		taken := pod.DeepCopy()
		taken.OwnerReferences = owned.With(pod.OwnerReferences, *metav1.NewControllerRef(rs, o.Kind))
		result.Add(reconcile.Update{Object: taken})
	}
	pods = append(pods, adopt...)
	active := podset.Active(pods)
	diff := 0
	if rs.DeletionTimestamp == nil {
		diff = len(active) - int(wanted(rs))
		result.Add(scale(o, active, diff)...)
	}
	status, wait := status(o, pods, active)
	if wait > 0 {
		result.RequeueIn(wait)
	}
	failing := status
	setFailure(&status, diff, nil, o.Now)
	addStatus(&result, rs, status)
	result.OnFailure = func(f reconcile.Failure) []reconcile.Action {
		if _, ok := f.Action.(reconcile.Batch); !ok {
			return nil
		}
		// A condition that is there stays as it is: a new message with each attempt
		// would be one more change that calls for the next.
		failed := *failing.DeepCopy()
		setFailure(&failed, diff, f.Err, o.Now)
		var last reconcile.Result
		addStatus(&last, rs, failed)
		return last.Actions
	}
	return result
}

func wanted(rs *appsv1.ReplicaSet) int32 {
	if rs.Spec.Replicas == nil {
		return 1
	}
	return *rs.Spec.Replicas
}

// scale creates what is missing (diff below zero) or deletes what is too much.
func scale(o Observed, active []*corev1.Pod, diff int) []reconcile.Action {
	rs := o.ReplicaSet
	var batch reconcile.Batch
	switch {
	case diff < 0:
		announce := &reconcile.Announce{
			About:  rs,
			Done:   reconcile.Message{Reason: "SuccessfulCreate", Format: "Created pod: %s"},
			Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedCreate", Format: "Error creating: %v"},
		}
		for range min(-diff, burst) {
			batch = append(batch, reconcile.Create{Object: podset.FromTemplate(&rs.Spec.Template, rs, o.Kind), Announce: announce})
		}
	case diff > 0:
		announce := &reconcile.Announce{
			About:  rs,
			Done:   reconcile.Message{Reason: "SuccessfulDelete", Format: "Deleted pod: %s"},
			Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedDelete", Format: "Error deleting: %v"},
		}
		for _, pod := range podset.DeletionOrder(active, o.Related, o.Now)[:min(diff, burst)] {
			remove := reconcile.DeleteOf(podset.Resource, pod)
			remove.Announce = announce
			batch = append(batch, remove)
		}
	default:
		return nil
	}
	return []reconcile.Action{batch}
}

// status counts pods; wait is when a ready pod becomes available.
func status(o Observed, pods, active []*corev1.Pod) (s appsv1.ReplicaSetStatus, wait time.Duration) {
	rs := o.ReplicaSet
	s = *rs.Status.DeepCopy()
	s.ObservedGeneration = rs.Generation
	s.Replicas = int32(len(active))
	s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = 0, 0, 0
	template := labels.Set(rs.Spec.Template.Labels).AsSelectorPreValidated()
	for _, pod := range active {
		if template.Matches(labels.Set(pod.Labels)) {
			s.FullyLabeledReplicas++
		}
		if !podset.IsReady(pod) {
			continue
		}
		s.ReadyReplicas++
		available, lacks := podset.Available(pod, rs.Spec.MinReadySeconds, o.Now)
		if available {
			s.AvailableReplicas++
		} else if lacks > 0 && (wait == 0 || lacks < wait) {
			wait = lacks
		}
	}
	var terminating int32
	for _, pod := range pods {
		if podset.IsTerminating(pod) {
			terminating++
		}
	}
	s.TerminatingReplicas = &terminating
	return s, wait
}

// setFailure keeps the ReplicaFailure condition in step with the outcome of
// scaling: set by a failure, kept while there is a difference, else removed.
func setFailure(s *appsv1.ReplicaSetStatus, diff int, err error, now time.Time) {
	var kept []appsv1.ReplicaSetCondition
	had := false
	for _, c := range s.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure {
			had = true
			continue
		}
		kept = append(kept, c)
	}
	switch {
	case err != nil && !had:
		reason := "FailedCreate"
		if diff > 0 {
			reason = "FailedDelete"
		}
		s.Conditions = append(kept, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(now), Reason: reason, Message: fmt.Sprint(err),
		})
	case err == nil && had:
		s.Conditions = kept
	}
}

func addStatus(result *reconcile.Result, rs *appsv1.ReplicaSet, s appsv1.ReplicaSetStatus) {
	if apiequality.Semantic.DeepEqual(rs.Status, s) {
		return
	}
	updated := *rs
	updated.Status = s
	result.Add(reconcile.UpdateStatus{Object: updated.DeepCopy()})
}
