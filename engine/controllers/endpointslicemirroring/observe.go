package endpointslicemirroring

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/reconcile"
)

const byService = "mirroredSlices"

type observer struct {
	endpoints corelisters.EndpointsLister
	services  corelisters.ServiceLister
	slices    cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	endpoints := env.Informers().Core().V1().Endpoints()
	services := env.Informers().Core().V1().Services()
	slices := env.Informers().Discovery().V1().EndpointSlices().Informer()
	err := slices.AddIndexers(cache.Indexers{byService: func(obj any) ([]string, error) {
		var keys []string
		for _, key := range serviceOf(obj.(*discoveryv1.EndpointSlice)) {
			keys = append(keys, key.String())
		}
		return keys, nil
	}})
	if err != nil {
		return nil, err
	}
	o := &observer{endpoints: endpoints.Lister(), services: services.Lister(), slices: slices.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "endpointslicemirroring-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Endpoints](endpoints.Informer()),
			reconcile.Self[*corev1.Service](services.Informer()),
			reconcile.On(slices, serviceOf),
		},
	})
}

// serviceOf names the Service of a slice of this controller.
func serviceOf(slice *discoveryv1.EndpointSlice) []reconcile.Key {
	if slice.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
		return nil
	}
	return []reconcile.Key{{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}}
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
	var observed Observed
	var err error
	if observed.Endpoints, err = o.endpoints.Endpoints(key.Namespace).Get(key.Name); err != nil {
		if !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		observed.Endpoints = nil
	}
	if observed.Service, err = o.services.Services(key.Namespace).Get(key.Name); err != nil {
		if !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		observed.Service = nil
	}
	objs, err := o.slices.ByIndex(byService, key.String())
	if err != nil {
		return reconcile.Result{}, err
	}
	for _, obj := range objs {
		observed.Slices = append(observed.Slices, obj.(*discoveryv1.EndpointSlice))
	}
	return Plan(observed), nil
}
