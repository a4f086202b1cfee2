package pvcprotection

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	client *client.Client
	claims corelisters.PersistentVolumeClaimLister
	pods   cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	volumeClaims := env.Informers().Core().V1().PersistentVolumeClaims()
	pods := env.Informers().Core().V1().Pods()
	writer := env.WriterFor("pvc-protection-controller")
	if err := podclaim.Index(pods.Informer()); err != nil {
		return nil, err
	}
	o := &observer{client: writer, claims: volumeClaims.Lister(), pods: pods.Informer().GetIndexer()}
	podWatch := reconcile.On(pods.Informer(), func(pod *corev1.Pod) []reconcile.Key {
		var keys []reconcile.Key
		for _, name := range podclaim.Names(pod) {
			keys = append(keys, reconcile.Key{Namespace: pod.Namespace, Name: name})
		}
		return keys
	})
	podWatch.Skip = func(old, obj any) bool {
		was, pod := old.(*corev1.Pod), obj.(*corev1.Pod)
		return was.UID == pod.UID && podset.IsFinished(was) == podset.IsFinished(pod)
	}
	return env.Controller(reconcile.Config{
		Name:      "pvc-protection-controller",
		Writer:    writer,
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.PersistentVolumeClaim](volumeClaims.Informer()),
			podWatch,
		},
	})
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	claim, err := o.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Claim: claim, Pods: podclaim.Pods(o.pods, key.Namespace, key.Name), Now: now}
	if claim.DeletionTimestamp != nil {
		// From the store: a pod that the cache does not show yet must hold it.
		if observed.Pods, err = client.List[*corev1.Pod](ctx, o.client, key.Namespace, client.ListOptions{}); err != nil {
			return reconcile.Result{}, err
		}
	}
	return Plan(observed), nil
}
