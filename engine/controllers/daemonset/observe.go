package daemonset

import (
	"context"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
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
	sets      appslisters.DaemonSetLister
	nodes     corelisters.NodeLister
	pods      cache.Indexer
	revisions cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	sets := env.Informers().Apps().V1().DaemonSets()
	revisions := env.Informers().Apps().V1().ControllerRevisions().Informer()
	nodes := env.Informers().Core().V1().Nodes()
	pods := env.Informers().Core().V1().Pods().Informer()
	for _, informer := range []cache.SharedIndexInformer{pods, revisions} {
		if err := owned.Index(informer); err != nil {
			return nil, err
		}
	}
	o := &observer{sets: sets.Lister(), nodes: nodes.Lister(), pods: pods.GetIndexer(), revisions: revisions.GetIndexer()}
	nodeWatch := reconcile.On(nodes.Informer(), func(*corev1.Node) []reconcile.Key { return o.all() })
	nodeWatch.Skip = func(old, obj any) bool {
		was, node := old.(*corev1.Node), obj.(*corev1.Node)
		return maps.Equal(was.Labels, node.Labels) && apiequality.Semantic.DeepEqual(was.Spec.Taints, node.Spec.Taints)
	}
	return env.Controller(reconcile.Config{
		Name:      "daemon-set-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*appsv1.DaemonSet](sets.Informer()),
			reconcile.On(pods, o.ownersOf),
			reconcile.On(revisions, func(r *appsv1.ControllerRevision) []reconcile.Key {
				name, ok := owned.Controller(r, Kind.Kind)
				if !ok {
					return nil
				}
				return []reconcile.Key{{Namespace: r.Namespace, Name: name}}
			}),
			nodeWatch,
		},
	})
}

func (o *observer) all() []reconcile.Key {
	sets, err := o.sets.List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, set := range sets {
		keys = append(keys, reconcile.KeyOf(set))
	}
	return keys
}

// ownersOf names the DaemonSet of a pod, or those that could adopt an orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	return owned.Keys(pod, Kind.Kind, o.sets.GetPodDaemonSets)
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	set, err := o.sets.DaemonSets(key.Namespace).Get(key.Name)
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
	nodes, err := o.nodes.List(labels.Everything())
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, set.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, set.Namespace, selector)...)
	return Plan(Observed{
		Set: set, Nodes: nodes, Pods: pods, Revisions: owned.By[*appsv1.ControllerRevision](o.revisions, set.UID), Now: now,
	}), nil
}
