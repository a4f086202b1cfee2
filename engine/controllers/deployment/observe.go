package deployment

import (
	"context"
	"errors"
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
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	deployments appslisters.DeploymentLister
	setLister   appslisters.ReplicaSetLister
	sets        cache.Indexer
	pods        cache.Indexer
	services    corelisters.ServiceLister
	strategies  *Strategies
}

// New builds the controller.
func New(env reconcile.Env, strategies Strategies) (*reconcile.Controller, error) {
	if strategies.Router == nil || strategies.Decisions == nil {
		return nil, errors.New("deployment: Router and Decisions are required")
	}
	deployments := env.Informers().Apps().V1().Deployments()
	sets := env.Informers().Apps().V1().ReplicaSets()
	pods := env.Informers().Core().V1().Pods().Informer()
	for _, informer := range []cache.SharedIndexInformer{sets.Informer(), pods} {
		if err := owned.Index(informer); err != nil {
			return nil, err
		}
	}
	o := &observer{
		deployments: deployments.Lister(), setLister: sets.Lister(),
		sets: sets.Informer().GetIndexer(), pods: pods.GetIndexer(),
		services: env.Informers().Core().V1().Services().Lister(), strategies: &strategies,
	}
	podWatch := reconcile.On(pods, o.recreatedBy)
	podWatch.Skip = func(old, obj any) bool {
		return podset.IsFinished(old.(*corev1.Pod)) == podset.IsFinished(obj.(*corev1.Pod))
	}
	return env.Controller(reconcile.Config{
		Name:      "deployment-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*appsv1.Deployment](deployments.Informer()),
			reconcile.On(sets.Informer(), o.ownersOf),
			podWatch,
		},
	})
}

// ownersOf names the Deployment of a ReplicaSet, or those that could adopt it.
func (o *observer) ownersOf(rs *appsv1.ReplicaSet) []reconcile.Key {
	if ref := metav1.GetControllerOfNoCopy(rs); ref != nil {
		if ref.Kind != Kind.Kind {
			return nil
		}
		return []reconcile.Key{{Namespace: rs.Namespace, Name: ref.Name}}
	}
	var keys []reconcile.Key
	deployments, err := o.deployments.Deployments(rs.Namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	for _, d := range deployments {
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(rs.Labels)) {
			keys = append(keys, reconcile.KeyOf(d))
		}
	}
	return keys
}

// recreatedBy names the Deployment of a pod that is gone or finished, if it waits
// for old pods to end.
func (o *observer) recreatedBy(pod *corev1.Pod) []reconcile.Key {
	name, ok := owned.Controller(pod, "ReplicaSet")
	if !ok {
		return nil
	}
	rs, err := o.setLister.ReplicaSets(pod.Namespace).Get(name)
	if err != nil {
		return nil // its deletion reaches the Deployment by itself
	}
	owner, ok := owned.Controller(rs, Kind.Kind)
	if !ok {
		return nil
	}
	d, err := o.deployments.Deployments(pod.Namespace).Get(owner)
	if err != nil || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		return nil
	}
	return []reconcile.Key{reconcile.KeyOf(d)}
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	d, err := o.deployments.Deployments(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	sets := owned.By[*appsv1.ReplicaSet](o.sets, d.UID)
	sets = append(sets, owned.Orphans[*appsv1.ReplicaSet](o.sets, d.Namespace, selector)...)
	observed := Observed{Deployment: d, ReplicaSets: sets, NameTaken: o.nameTaken(d, sets), Now: now,
		Decide: o.strategies.decide(ctx, d, now), Results: o.strategies.results(d)}
	if name := d.Annotations[RolloutServiceAnnotation]; name != "" {
		if observed.Service, err = o.services.Services(d.Namespace).Get(name); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		observed.OldPodsLeft = o.oldPodsLeft(d, sets)
	}
	return Plan(observed), nil
}

func (o *observer) oldPodsLeft(d *appsv1.Deployment, sets []*appsv1.ReplicaSet) bool {
	for _, rs := range sets {
		if sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
			continue
		}
		for _, pod := range owned.By[*corev1.Pod](o.pods, rs.UID) {
			if !podset.IsFinished(pod) {
				return true
			}
		}
	}
	return false
}

// nameTaken reports that the next ReplicaSet of d would get the name of somebody
// else's.
func (o *observer) nameTaken(d *appsv1.Deployment, sets []*appsv1.ReplicaSet) bool {
	for _, rs := range sets {
		if sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
			return false
		}
	}
	other, err := o.setLister.ReplicaSets(d.Namespace).Get(newReplicaSet(d).Name)
	return err == nil && !metav1.IsControlledBy(other, d)
}
