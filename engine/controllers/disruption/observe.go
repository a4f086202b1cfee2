package disruption

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// gather is how long pod changes collect before a budget is planned.
const gather = 50 * time.Millisecond

type observer struct {
	budgets     policylisters.PodDisruptionBudgetLister
	pods        corelisters.PodLister
	replicaSets appslisters.ReplicaSetLister
	deployments appslisters.DeploymentLister
	sets        appslisters.StatefulSetLister
	controllers corelisters.ReplicationControllerLister
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	budgets := env.Informers().Policy().V1().PodDisruptionBudgets()
	pods := env.Informers().Core().V1().Pods()
	apps := env.Informers().Apps().V1()
	o := &observer{
		budgets: budgets.Lister(), pods: pods.Lister(), replicaSets: apps.ReplicaSets().Lister(), deployments: apps.Deployments().Lister(),
		sets: apps.StatefulSets().Lister(), controllers: env.Informers().Core().V1().ReplicationControllers().Lister(),
	}
	podWatch := reconcile.On(pods.Informer(), o.budgetsOf)
	podWatch.Delay = gather
	return env.Controller(reconcile.Config{
		Name:      "disruption-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*policyv1.PodDisruptionBudget](budgets.Informer()),
			podWatch,
		},
	})
}

func (o *observer) budgetsOf(pod *corev1.Pod) []reconcile.Key {
	budgets, err := o.budgets.PodDisruptionBudgets(pod.Namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, pdb := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(pod.Labels)) {
			keys = append(keys, reconcile.KeyOf(pdb))
		}
	}
	return keys
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	pdb, err := o.budgets.PodDisruptionBudgets(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Budget: pdb, Now: now}
	if observed.Pods, err = o.pods.Pods(pdb.Namespace).List(selector); err != nil {
		return reconcile.Result{}, err
	}
	observed.Scale, observed.ScaleErr = o.scale(observed.Pods)
	return Plan(observed), nil
}

// scale adds up what the controllers of the pods want, each once.
func (o *observer) scale(pods []*corev1.Pod) (int32, error) {
	seen := map[types.UID]bool{}
	var total int32
	for _, pod := range pods {
		ref := metav1.GetControllerOfNoCopy(pod)
		if ref == nil {
			return 0, fmt.Errorf("found no controller ref for pod %q", pod.Name)
		}
		uid, n, err := o.replicas(pod.Namespace, ref)
		if err != nil {
			return 0, err
		}
		if !seen[uid] {
			seen[uid] = true
			total += n
		}
	}
	return total, nil
}

// replicas is what the controller a reference leads to wants: that of a
// ReplicaSet is its Deployment, if it has one.
func (o *observer) replicas(namespace string, ref *metav1.OwnerReference) (types.UID, int32, error) {
	switch ref.Kind {
	case "ReplicaSet":
		rs, err := o.replicaSets.ReplicaSets(namespace).Get(ref.Name)
		if err != nil {
			return ref.UID, 0, err
		}
		if owner := metav1.GetControllerOfNoCopy(rs); owner != nil && owner.Kind == "Deployment" {
			d, err := o.deployments.Deployments(namespace).Get(owner.Name)
			if err != nil {
				return owner.UID, 0, err
			}
			return owner.UID, orOne(d.Spec.Replicas), nil
		}
		return ref.UID, orOne(rs.Spec.Replicas), nil
	case "StatefulSet":
		set, err := o.sets.StatefulSets(namespace).Get(ref.Name)
		if err != nil {
			return ref.UID, 0, err
		}
		return ref.UID, orOne(set.Spec.Replicas), nil
	case "ReplicationController":
		rc, err := o.controllers.ReplicationControllers(namespace).Get(ref.Name)
		if err != nil {
			return ref.UID, 0, err
		}
		return ref.UID, orOne(rc.Spec.Replicas), nil
	}
	return ref.UID, 0, fmt.Errorf("found no controllers for pod: %s %q has no scale that is known here", ref.Kind, ref.Name)
}

func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
