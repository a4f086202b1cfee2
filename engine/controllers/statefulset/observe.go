package statefulset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	sets      appslisters.StatefulSetLister
	claims    corelisters.PersistentVolumeClaimLister
	pods      cache.Indexer
	revisions cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	sets := env.Informers().Apps().V1().StatefulSets()
	revisions := env.Informers().Apps().V1().ControllerRevisions().Informer()
	pods := env.Informers().Core().V1().Pods().Informer()
	claims := env.Informers().Core().V1().PersistentVolumeClaims()
	for _, informer := range []cache.SharedIndexInformer{pods, revisions} {
		if err := owned.Index(informer); err != nil {
			return nil, err
		}
	}
	o := &observer{sets: sets.Lister(), claims: claims.Lister(), pods: pods.GetIndexer(), revisions: revisions.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "statefulset-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*appsv1.StatefulSet](sets.Informer()),
			reconcile.On(pods, o.ownersOf),
			reconcile.On(revisions, func(r *appsv1.ControllerRevision) []reconcile.Key {
				name, ok := owned.Controller(r, Kind.Kind)
				if !ok {
					return nil
				}
				return []reconcile.Key{{Namespace: r.Namespace, Name: name}}
			}),
			reconcile.On(claims.Informer(), o.usersOf),
		},
	})
}

// ownersOf names the StatefulSet of a pod, or those that could adopt an orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	return owned.Keys(pod, Kind.Kind, o.sets.GetPodStatefulSets)
}

// usersOf names the StatefulSets whose pods use a claim.
func (o *observer) usersOf(claim *corev1.PersistentVolumeClaim) []reconcile.Key {
	sets, err := o.sets.StatefulSets(claim.Namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, set := range sets {
		for _, pod := range podNames(set, claim.Name) {
			if _, ok := ordinalOf(set, pod); ok {
				keys = append(keys, reconcile.KeyOf(set))
			}
		}
	}
	return keys
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	set, err := o.sets.StatefulSets(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, set.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, set.Namespace, selector)...)
	return Plan(Observed{
		Set: set, Pods: pods, Revisions: owned.By[*appsv1.ControllerRevision](o.revisions, set.UID),
		Claims: o.existing(set, pods), Now: now,
	}), nil
}

// existing finds the claims of the ordinals wanted, and of those there are.
func (o *observer) existing(set *appsv1.StatefulSet, pods []*corev1.Pod) map[string]*corev1.PersistentVolumeClaim {
	out := map[string]*corev1.PersistentVolumeClaim{}
	find := func(n int) {
		for i := range set.Spec.VolumeClaimTemplates {
			if claim, err := o.claims.PersistentVolumeClaims(set.Namespace).Get(claimName(set, i, n)); err == nil {
				out[claim.Name] = claim
			}
		}
	}
	p := &plan{set: set}
	for n := p.first(); n < p.end(); n++ {
		find(n)
	}
	for _, pod := range pods {
		if n, ok := ordinal(set, pod); ok {
			find(n)
		}
	}
	return out
}
