package ingress

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/apis/networking"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its one key is all there is.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	all := []reconcile.Key{{Name: "ingresses"}}
	api, nodes := env.Informers().Networking().V1(), env.Informers().Core().V1().Nodes()
	return env.Controller(reconcile.Config{
		Name: "ingress-controller",
		Watches: []reconcile.Watch{
			reconcile.On(api.IngressClasses().Informer(), func(*networkingv1.IngressClass) []reconcile.Key { return all }),
			reconcile.On(api.Ingresses().Informer(), func(ing *networkingv1.Ingress) []reconcile.Key {
				if networking.ClassOf(ing) == "" {
					return nil
				}
				return all
			}),
			reconcile.On(nodes.Informer(), func(node *corev1.Node) []reconcile.Key {
				if !serves(node) {
					return nil
				}
				return all
			}),
		},
		Reconcile: func(context.Context, reconcile.Key, time.Time) (reconcile.Result, error) {
			var o Observed
			var err error
			if o.Classes, err = api.IngressClasses().Lister().List(labels.Everything()); err != nil {
				return reconcile.Result{}, err
			}
			if o.Ingresses, err = api.Ingresses().Lister().List(labels.Everything()); err != nil {
				return reconcile.Result{}, err
			}
			if o.Nodes, err = nodes.Lister().List(labels.Everything()); err != nil {
				return reconcile.Result{}, err
			}
			return Plan(o), nil
		},
	})
}
