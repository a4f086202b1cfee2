package serviceaccount

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its keys are namespaces.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	namespaces := env.Informers().Core().V1().Namespaces()
	accounts := env.Informers().Core().V1().ServiceAccounts()
	namespaceLister, accountLister := namespaces.Lister(), accounts.Lister()
	return env.Controller(reconcile.Config{
		Name: "service-account-controller",
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Namespace](namespaces.Informer()),
			reconcile.On(accounts.Informer(), func(account *corev1.ServiceAccount) []reconcile.Key {
				if account.Name != Name {
					return nil
				}
				return []reconcile.Key{{Name: account.Namespace}}
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			namespace, err := namespaceLister.Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			_, err = accountLister.ServiceAccounts(key.Name).Get(Name)
			return Plan(Observed{Namespace: namespace, Exists: err == nil}), nil
		},
	})
}
