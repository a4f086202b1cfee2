package serviceloadbalancer

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its one key is the pool.
func New(env reconcile.Env, pool Pool) (*reconcile.Controller, error) {
	services := env.Informers().Core().V1().Services()
	return env.Controller(reconcile.Config{
		Name: "service-controller",
		Watches: []reconcile.Watch{reconcile.On(services.Informer(), func(service *corev1.Service) []reconcile.Key {
			if !Concerns(service) {
				return nil
			}
			return []reconcile.Key{{Name: "pool"}}
		})},
		Reconcile: func(context.Context, reconcile.Key, time.Time) (reconcile.Result, error) {
			all, err := services.Lister().List(labels.Everything())
			if err != nil {
				return reconcile.Result{}, err
			}
			observed := Observed{Pool: pool}
			for _, service := range all {
				if Concerns(service) {
					observed.Services = append(observed.Services, service)
				}
			}
			return Plan(observed), nil
		},
	})
}
