package podgc

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/reconcile"
)

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
