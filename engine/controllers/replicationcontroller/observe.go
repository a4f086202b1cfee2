package replicationcontroller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	controllers corelisters.ReplicationControllerLister
	pods        cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	controllers := env.Informers().Core().V1().ReplicationControllers()
	pods := env.Informers().Core().V1().Pods().Informer()
	if err := owned.Index(pods); err != nil {
		return nil, err
	}
	o := &observer{controllers: controllers.Lister(), pods: pods.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "replication-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.ReplicationController](controllers.Informer()),
			reconcile.On(pods, o.ownersOf),
		},
	})
}

// ownersOf names the ReplicationController of a pod, or those that could adopt an
// orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	return owned.Keys(pod, Kind.Kind, o.controllers.GetPodControllers)
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	rc, err := o.controllers.ReplicationControllers(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, rc.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, rc.Namespace, labels.SelectorFromSet(rc.Spec.Selector))...)
	return Plan(Observed{Controller: rc, Pods: pods, Now: now}), nil
}
