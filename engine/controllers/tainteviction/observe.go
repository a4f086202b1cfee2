package tainteviction

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/reconcile"
)

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
