package ephemeralvolume

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its keys are pods.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	pods, claims := core.Pods(), core.PersistentVolumeClaims()
	if err := podclaim.Index(pods.Informer()); err != nil {
		return nil, err
	}
	indexer := pods.Informer().GetIndexer()
	podWatch := reconcile.On(pods.Informer(), func(pod *corev1.Pod) []reconcile.Key {
		if !hasEphemeral(pod) {
			return nil
		}
		return []reconcile.Key{reconcile.KeyOf(pod)}
	})
	podWatch.Skip = func(old, obj any) bool { return old.(*corev1.Pod).UID == obj.(*corev1.Pod).UID }
	return env.Controller(reconcile.Config{
		Name: "ephemeral-volume-controller",
		Watches: []reconcile.Watch{podWatch, reconcile.On(claims.Informer(), func(claim *corev1.PersistentVolumeClaim) []reconcile.Key {
			var keys []reconcile.Key
			for _, pod := range podclaim.Pods(indexer, claim.Namespace, claim.Name) {
				if hasEphemeral(pod) {
					keys = append(keys, reconcile.KeyOf(pod))
				}
			}
			return keys
		})},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			pod, err := pods.Lister().Pods(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			observed := Observed{Pod: pod, Claims: map[string]*corev1.PersistentVolumeClaim{}}
			for _, name := range podclaim.Names(pod) {
				if claim, err := claims.Lister().PersistentVolumeClaims(pod.Namespace).Get(name); err == nil {
					observed.Claims[name] = claim
				}
			}
			return Plan(observed), nil
		},
	})
}

func hasEphemeral(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Ephemeral != nil {
			return true
		}
	}
	return false
}
