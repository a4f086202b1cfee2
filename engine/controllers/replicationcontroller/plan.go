// Package replicationcontroller keeps the pods of ReplicationControllers, the
// ancestors of ReplicaSets: the same plan, under another kind.
package replicationcontroller

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/replicaset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the pods' owner references.
var Kind = corev1.SchemeGroupVersion.WithKind("ReplicationController")

// Observed is the snapshot of one ReplicationController.
type Observed struct {
	Controller *corev1.ReplicationController
	Pods       []*corev1.Pod
	Now        time.Time
}

// Plan plans as for a ReplicaSet and translates what concerns the object itself.
func Plan(o Observed) reconcile.Result {
	if o.Controller.Spec.Template == nil {
		return reconcile.Result{}
	}
	set := asReplicaSet(o.Controller)
	result := replicaset.Plan(replicaset.Observed{ReplicaSet: set, Kind: Kind, Pods: o.Pods, Related: o.Pods, Now: o.Now})
	result.Actions = translate(result.Actions, o.Controller)
	if failed := result.OnFailure; failed != nil {
		result.OnFailure = func(f reconcile.Failure) []reconcile.Action {
			return translate(failed(f), o.Controller)
		}
	}
	return result
}

func asReplicaSet(rc *corev1.ReplicationController) *appsv1.ReplicaSet {
	s := rc.Status
	set := &appsv1.ReplicaSet{
		ObjectMeta: rc.ObjectMeta,
		Spec: appsv1.ReplicaSetSpec{
			Replicas: rc.Spec.Replicas, MinReadySeconds: rc.Spec.MinReadySeconds,
			Selector: &metav1.LabelSelector{MatchLabels: rc.Spec.Selector}, Template: *rc.Spec.Template,
		},
		Status: appsv1.ReplicaSetStatus{
			Replicas: s.Replicas, FullyLabeledReplicas: s.FullyLabeledReplicas, ReadyReplicas: s.ReadyReplicas,
			AvailableReplicas: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
		},
	}
	for _, c := range s.Conditions {
		set.Status.Conditions = append(set.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return set
}

// translate makes events and status updates about rc again. A status that differs
// only in what a ReplicationController does not report is not written.
func translate(actions []reconcile.Action, rc *corev1.ReplicationController) []reconcile.Action {
	var out []reconcile.Action
	for _, action := range actions {
		switch a := action.(type) {
		case reconcile.Batch:
			action = reconcile.Batch(translate(a, rc))
		case reconcile.Create:
			a.Announce.About = rc
		case reconcile.Delete:
			a.Announce.About = rc
		case reconcile.UpdateStatus:
			updated := withStatus(rc, a.Object.(*appsv1.ReplicaSet).Status)
			if apiequality.Semantic.DeepEqual(updated.Status, rc.Status) {
				continue
			}
			action = reconcile.UpdateStatus{Object: updated}
		}
		out = append(out, action)
	}
	return out
}

func withStatus(rc *corev1.ReplicationController, s appsv1.ReplicaSetStatus) *corev1.ReplicationController {
	out := rc.DeepCopy()
	out.Status = corev1.ReplicationControllerStatus{
		Replicas: s.Replicas, FullyLabeledReplicas: s.FullyLabeledReplicas, ReadyReplicas: s.ReadyReplicas,
		AvailableReplicas: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
	}
	for _, c := range s.Conditions {
		out.Status.Conditions = append(out.Status.Conditions, corev1.ReplicationControllerCondition{
			Type: corev1.ReplicationControllerConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return out
}
