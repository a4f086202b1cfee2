package endpoints

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apilabels "k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/endpointslice"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	services  corelisters.ServiceLister
	pods      corelisters.PodLister
	endpoints corelisters.EndpointsLister
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	services := env.Informers().Core().V1().Services()
	pods := env.Informers().Core().V1().Pods()
	endpoints := env.Informers().Core().V1().Endpoints()
	o := &observer{services: services.Lister(), pods: pods.Lister(), endpoints: endpoints.Lister()}
	return env.Controller(reconcile.Config{
		Name:      "endpoint-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Service](services.Informer()),
			endpointslice.PodWatch(pods.Informer(), services.Lister()),
			reconcile.Self[*corev1.Endpoints](endpoints.Informer()),
		},
	})
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	observed := Observed{Namespace: key.Namespace, Name: key.Name, Now: now}
	var err error
	if observed.Endpoints, err = o.endpoints.Endpoints(key.Namespace).Get(key.Name); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	if observed.Service, err = o.services.Services(key.Namespace).Get(key.Name); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	if svc := observed.Service; svc != nil && len(svc.Spec.Selector) > 0 {
		observed.Pods, err = o.pods.Pods(svc.Namespace).List(apilabels.ValidatedSetSelector(svc.Spec.Selector))
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	return Plan(observed), nil
}
