package endpointslice

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// gather is how long pod changes collect before a Service is planned, so that a
// rollout of a thousand pods is not a thousand updates of its slices.
const gather = 50 * time.Millisecond

const byService = "serviceSlices"

type observer struct {
	services corelisters.ServiceLister
	pods     corelisters.PodLister
	nodes    corelisters.NodeLister
	slices   cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	services := env.Informers().Core().V1().Services()
	pods := env.Informers().Core().V1().Pods()
	nodes := env.Informers().Core().V1().Nodes()
	slices := env.Informers().Discovery().V1().EndpointSlices().Informer()
	err := slices.AddIndexers(cache.Indexers{byService: func(obj any) ([]string, error) {
		slice := obj.(*discoveryv1.EndpointSlice)
		if slice.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
			return nil, nil
		}
		return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
	}})
	if err != nil {
		return nil, err
	}
	o := &observer{services: services.Lister(), pods: pods.Lister(), nodes: nodes.Lister(), slices: slices.GetIndexer()}
	nodeWatch := reconcile.On(nodes.Informer(), o.topologyAware)
	nodeWatch.Skip = sameTopology
	nodeWatch.Delay = time.Second
	return env.Controller(reconcile.Config{
		Name:      "endpointslice-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Service](services.Informer()),
			PodWatch(pods.Informer(), services.Lister()),
			nodeWatch,
			reconcile.On(slices, func(slice *discoveryv1.EndpointSlice) []reconcile.Key {
				if slice.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
					return nil
				}
				return []reconcile.Key{{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}}
			}),
		},
	})
}

// topologyAware names the Services whose hints follow from the nodes.
func (o *observer) topologyAware(*corev1.Node) []reconcile.Key {
	all, err := o.services.List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, service := range all {
		if TopologyAware(service) {
			keys = append(keys, reconcile.KeyOf(service))
		}
	}
	return keys
}

// sameTopology reports that nothing of a node changed that hints follow from.
func sameTopology(old, obj any) bool {
	was, node := old.(*corev1.Node), obj.(*corev1.Node)
	return was.Labels[corev1.LabelTopologyZone] == node.Labels[corev1.LabelTopologyZone] && isReady(was) == isReady(node) &&
		was.Status.Allocatable.Cpu().Equal(*node.Status.Allocatable.Cpu())
}

func isReady(node *corev1.Node) bool {
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// PodWatch names the Services that select a pod, and ignores changes of a pod
// that no endpoint shows.
func PodWatch(pods cache.SharedIndexInformer, services corelisters.ServiceLister) reconcile.Watch {
	w := reconcile.On(pods, func(pod *corev1.Pod) []reconcile.Key {
		all, err := services.Services(pod.Namespace).List(labels.Everything())
		if err != nil {
			return nil
		}
		var keys []reconcile.Key
		for _, svc := range all {
			if len(svc.Spec.Selector) > 0 && labels.ValidatedSetSelector(svc.Spec.Selector).Matches(labels.Set(pod.Labels)) {
				keys = append(keys, reconcile.KeyOf(svc))
			}
		}
		return keys
	})
	w.Skip = func(old, obj any) bool { return !shows(old.(*corev1.Pod), obj.(*corev1.Pod)) }
	w.Delay = gather
	return w
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	svc, err := o.services.Services(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil // the garbage collector deletes its slices
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Service: svc, Zone: map[string]string{}, Now: now}
	if len(svc.Spec.Selector) > 0 {
		observed.Pods, err = o.pods.Pods(svc.Namespace).List(labels.ValidatedSetSelector(svc.Spec.Selector))
		if err != nil {
			return reconcile.Result{}, err
		}
	}
	for _, pod := range observed.Pods {
		if node, err := o.nodes.Get(pod.Spec.NodeName); err == nil {
			if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
				observed.Zone[node.Name] = zone
			}
		}
	}
	if TopologyAware(svc) {
		if observed.Nodes, err = o.nodes.List(labels.Everything()); err != nil {
			return reconcile.Result{}, err
		}
	}
	objs, err := o.slices.ByIndex(byService, key.Namespace+"/"+key.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	for _, obj := range objs {
		observed.Slices = append(observed.Slices, obj.(*discoveryv1.EndpointSlice))
	}
	return Plan(observed), nil
}
