package clusterroleaggregation

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	roles := env.Informers().Rbac().V1().ClusterRoles()
	lister := roles.Lister()
	return env.Controller(reconcile.Config{
		Name: "clusterrole-aggregation-controller",
		Watches: []reconcile.Watch{
			reconcile.On(roles.Informer(), func(*rbacv1.ClusterRole) []reconcile.Key {
				all, err := lister.List(labels.Everything())
				if err != nil {
					return nil
				}
				var keys []reconcile.Key
				for _, role := range all {
					if role.AggregationRule != nil {
						keys = append(keys, reconcile.KeyOf(role))
					}
				}
				return keys
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			role, err := lister.Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			all, err := lister.List(labels.Everything())
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Role: role, Roles: all}), nil
		},
	})
}
