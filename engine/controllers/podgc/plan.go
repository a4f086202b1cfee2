// Package podgc removes pods that no node agent will ever remove: those bound to a
// node that no longer exists, and those deleted before they were bound.
package podgc

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// quarantine is how long a node may be missing before its pods are given up.
const quarantine = 40 * time.Second

// Observed is the snapshot of one pod.
type Observed struct {
	Pod *corev1.Pod
	// NodeMissingSince is when the pod's node was first found missing; zero if it
	// exists or the pod has none.
	NodeMissingSince time.Time
	Now              time.Time
}

// Plan removes the pod if nobody else will.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	remove := reconcile.DeleteOf(podset.Resource, o.Pod)
	remove.GracePeriodSeconds = ptr.To(int64(0))
	switch {
	case o.Pod.Spec.NodeName == "":
		if o.Pod.DeletionTimestamp != nil {
			result.Add(remove)
		}
	case !o.NodeMissingSince.IsZero():
		if wait := o.NodeMissingSince.Add(quarantine).Sub(o.Now); wait > 0 {
			result.RequeueIn(wait)
			return result
		}
		if !podset.IsFinished(o.Pod) {
			result.Add(reconcile.UpdateStatus{Object: failed(o.Pod, o.Now)})
		}
		result.Add(remove)
	}
	return result
}

func failed(pod *corev1.Pod, now time.Time) *corev1.Pod {
	out := pod.DeepCopy()
	out.Status.Phase = corev1.PodFailed
	if podset.Condition(out, corev1.DisruptionTarget) == nil {
		out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now),
			Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
		})
	}
	return out
}

type observer struct {
	client *client.Client
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	// missing is written by the single worker alone.
	missing map[string]time.Time
}

// New builds the controller; its keys are pods.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	pods := env.Informers().Core().V1().Pods()
	nodes := env.Informers().Core().V1().Nodes()
	if err := bynode.Index(pods.Informer()); err != nil {
		return nil, err
	}
	o := &observer{client: env.WriterFor("pod-garbage-collector"), pods: pods.Lister(), nodes: nodes.Lister(), missing: map[string]time.Time{}}
	indexer := pods.Informer().GetIndexer()
	return env.Controller(reconcile.Config{
		Name:      "pod-garbage-collector",
		Workers:   1,
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.On(pods.Informer(), o.suspect),
			reconcile.On(nodes.Informer(), func(node *corev1.Node) []reconcile.Key { return o.podsOf(indexer, node) }),
		},
	})
}

// suspect names a pod that may have nobody to care for it.
func (o *observer) suspect(pod *corev1.Pod) []reconcile.Key {
	if pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
		return nil
	}
	if pod.Spec.NodeName != "" {
		if _, err := o.nodes.Get(pod.Spec.NodeName); err == nil {
			return nil
		}
	}
	return []reconcile.Key{reconcile.KeyOf(pod)}
}

// podsOf names the pods of a node that is gone.
func (o *observer) podsOf(indexer cache.Indexer, node *corev1.Node) []reconcile.Key {
	if _, err := o.nodes.Get(node.Name); err == nil {
		return nil
	}
	var keys []reconcile.Key
	for _, pod := range bynode.Pods(indexer, node.Name) {
		keys = append(keys, reconcile.KeyOf(pod))
	}
	return keys
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	pod, err := o.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Pod: pod, Now: now}
	if node := pod.Spec.NodeName; node != "" {
		if observed.NodeMissingSince, err = o.missingSince(ctx, node, now); err != nil {
			return reconcile.Result{}, err
		}
	}
	return Plan(observed), nil
}

// missingSince asks the store, not the cache: a pod must not be lost because its
// node's informer is slower than its own.
func (o *observer) missingSince(ctx context.Context, node string, now time.Time) (time.Time, error) {
	_, err := client.Get[*corev1.Node](ctx, o.client, "", node)
	if err == nil {
		delete(o.missing, node)
		return time.Time{}, nil
	}
	if !apierrors.IsNotFound(err) {
		return time.Time{}, err
	}
	if _, ok := o.missing[node]; !ok {
		o.missing[node] = now
	}
	return o.missing[node], nil
}
