// Package tainteviction deletes pods from nodes with NoExecute taints that they do
// not tolerate, or tolerate for a while only.
package tainteviction

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is the snapshot of one pod and the taints of its node.
type Observed struct {
	Pod    *corev1.Pod
	Taints []corev1.Taint
	Now    time.Time
}

// Plan deletes the pod once its tolerations have run out. The time counts from
// when the taint was added, so a restart of the server does not prolong it.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Pod.DeletionTimestamp != nil || podset.IsFinished(o.Pod) {
		return result
	}
	due, evict := deadline(o)
	if !evict {
		return result
	}
	if wait := due.Sub(o.Now); wait > 0 {
		result.RequeueIn(wait)
		return result
	}
	marked := o.Pod.DeepCopy()
	if podset.Condition(marked, corev1.DisruptionTarget) == nil {
		marked.Status.Conditions = append(marked.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(o.Now),
			Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
		})
		result.Add(reconcile.UpdateStatus{Object: marked})
	}
	result.Add(
		reconcile.Event{About: o.Pod, Type: corev1.EventTypeNormal, Reason: "TaintManagerEviction",
			Message: fmt.Sprintf("Marking for deletion Pod %s/%s", o.Pod.Namespace, o.Pod.Name)},
		reconcile.DeleteOf(podset.Resource, o.Pod),
	)
	return result
}

// deadline is when the pod must go; false if it may stay for ever.
func deadline(o Observed) (due time.Time, evict bool) {
	for i := range o.Taints {
		taint := &o.Taints[i]
		if taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		at, limited := tolerated(o, taint)
		if limited && (!evict || at.Before(due)) {
			due, evict = at, true
		}
	}
	return due, evict
}

// tolerated is until when the pod bears one taint; false if for ever. Of several
// matching tolerations the shortest counts.
func tolerated(o Observed, taint *corev1.Taint) (until time.Time, limited bool) {
	start := o.Now
	if taint.TimeAdded != nil {
		start = taint.TimeAdded.Time
	}
	matched := false
	for i := range o.Pod.Spec.Tolerations {
		t := &o.Pod.Spec.Tolerations[i]
		if !tolerates(t, taint) {
			continue
		}
		matched = true
		if t.TolerationSeconds == nil {
			continue
		}
		at := start.Add(time.Duration(max(*t.TolerationSeconds, 0)) * time.Second)
		if !limited || at.Before(until) {
			until, limited = at, true
		}
	}
	if !matched {
		return o.Now, true
	}
	return until, limited
}

func tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return t.Key != "" && t.Value == taint.Value
	}
	return false
}

type observer struct {
	pods    corelisters.PodLister
	nodes   corelisters.NodeLister
	indexer cache.Indexer
}

// New builds the controller; its keys are pods.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	pods := env.Informers().Core().V1().Pods()
	nodes := env.Informers().Core().V1().Nodes()
	if err := bynode.Index(pods.Informer()); err != nil {
		return nil, err
	}
	o := &observer{pods: pods.Lister(), nodes: nodes.Lister(), indexer: pods.Informer().GetIndexer()}
	podWatch := reconcile.On(pods.Informer(), func(pod *corev1.Pod) []reconcile.Key {
		if len(o.taints(pod)) == 0 {
			return nil
		}
		return []reconcile.Key{reconcile.KeyOf(pod)}
	})
	podWatch.Skip = func(old, obj any) bool {
		was, pod := old.(*corev1.Pod), obj.(*corev1.Pod)
		return was.Spec.NodeName == pod.Spec.NodeName && apiequality.Semantic.DeepEqual(was.Spec.Tolerations, pod.Spec.Tolerations)
	}
	nodeWatch := reconcile.On(nodes.Informer(), o.podsOn)
	nodeWatch.Skip = func(old, obj any) bool {
		return apiequality.Semantic.DeepEqual(old.(*corev1.Node).Spec.Taints, obj.(*corev1.Node).Spec.Taints)
	}
	return env.Controller(reconcile.Config{
		Name:      "taint-eviction-controller",
		Reconcile: o.reconcile,
		Watches:   []reconcile.Watch{podWatch, nodeWatch},
	})
}

func (o *observer) podsOn(node *corev1.Node) []reconcile.Key {
	if len(noExecute(node)) == 0 {
		return nil
	}
	var keys []reconcile.Key
	for _, pod := range bynode.Pods(o.indexer, node.Name) {
		keys = append(keys, reconcile.KeyOf(pod))
	}
	return keys
}

func (o *observer) taints(pod *corev1.Pod) []corev1.Taint {
	node, err := o.nodes.Get(pod.Spec.NodeName)
	if err != nil {
		return nil
	}
	return noExecute(node)
}

func noExecute(node *corev1.Node) []corev1.Taint {
	var out []corev1.Taint
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoExecute {
			out = append(out, taint)
		}
	}
	return out
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	pod, err := o.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return Plan(Observed{Pod: pod, Taints: o.taints(pod), Now: now}), nil
}
