package statefulset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	claimWatch := reconcile.On(claims.Informer(), func(*corev1.PersistentVolumeClaim) []reconcile.Key { return nil })
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
			claimWatch,
		},
	})
}

// ownersOf names the StatefulSet of a pod, or those that could adopt an orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		if ref.Kind != Kind.Kind {
			return nil
		}
		return []reconcile.Key{{Namespace: pod.Namespace, Name: ref.Name}}
	}
	sets, err := o.sets.GetPodStatefulSets(pod)
	if err != nil {
		return nil // nobody selects it
	}
	var keys []reconcile.Key
	for _, set := range sets {
		keys = append(keys, reconcile.KeyOf(set))
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
		Claims: o.existing(set), Now: now,
	}), nil
}

// existing tells which of the claims of the set's ordinals there are.
func (o *observer) existing(set *appsv1.StatefulSet) map[string]bool {
	p := &plan{set: set}
	out := map[string]bool{}
	for i := range set.Spec.VolumeClaimTemplates {
		for n := p.first(); n < p.end(); n++ {
			name := claimName(set, i, n)
			if _, err := o.claims.PersistentVolumeClaims(set.Namespace).Get(name); err == nil {
				out[name] = true
			}
		}
	}
	return out
}
