package replicaset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	sets    appslisters.ReplicaSetLister
	byOwner cache.Indexer
	pods    cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	sets := env.Informers().Apps().V1().ReplicaSets()
	pods := env.Informers().Core().V1().Pods().Informer()
	for _, informer := range []cache.SharedIndexInformer{sets.Informer(), pods} {
		if err := owned.Index(informer); err != nil {
			return nil, err
		}
	}
	o := &observer{sets: sets.Lister(), byOwner: sets.Informer().GetIndexer(), pods: pods.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "replicaset-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*appsv1.ReplicaSet](sets.Informer()),
			reconcile.On(pods, o.ownersOf),
		},
	})
}

// ownersOf names the ReplicaSet of a pod, or those that could adopt an orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	return owned.Keys(pod, Kind.Kind, o.sets.GetPodReplicaSets)
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	rs, err := o.sets.ReplicaSets(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, rs.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, rs.Namespace, selector)...)
	observed := Observed{ReplicaSet: rs, Pods: pods, Now: now}
	if len(pods) > int(wanted(rs)) {
		observed.Related = o.related(rs)
	}
	return Plan(observed), nil
}

// related lists the pods of all ReplicaSets that share rs's owner.
func (o *observer) related(rs *appsv1.ReplicaSet) []*corev1.Pod {
	siblings := []*appsv1.ReplicaSet{rs}
	if ref := metav1.GetControllerOfNoCopy(rs); ref != nil {
		siblings = owned.By[*appsv1.ReplicaSet](o.byOwner, ref.UID)
	}
	var pods []*corev1.Pod
	for _, sibling := range siblings {
		pods = append(pods, owned.By[*corev1.Pod](o.pods, sibling.UID)...)
	}
	return pods
}
