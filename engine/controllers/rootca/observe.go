package rootca

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its keys are namespaces. bundle is PEM.
func New(env reconcile.Env, bundle []byte) (*reconcile.Controller, error) {
	namespaces := env.Informers().Core().V1().Namespaces()
	configMaps := env.Informers().Core().V1().ConfigMaps()
	namespaceLister, configMapLister := namespaces.Lister(), configMaps.Lister()
	return env.Controller(reconcile.Config{
		Name: "root-ca-cert-publisher",
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Namespace](namespaces.Informer()),
			reconcile.On(configMaps.Informer(), func(cm *corev1.ConfigMap) []reconcile.Key {
				if cm.Name != Name {
					return nil
				}
				return []reconcile.Key{{Name: cm.Namespace}}
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			observed := Observed{Bundle: string(bundle)}
			var err error
			if observed.Namespace, err = namespaceLister.Get(key.Name); err != nil {
				return reconcile.Result{}, ignoreNotFound(err)
			}
			if observed.ConfigMap, err = configMapLister.ConfigMaps(key.Name).Get(Name); err != nil {
				if !apierrors.IsNotFound(err) {
					return reconcile.Result{}, err
				}
				observed.ConfigMap = nil
			}
			return Plan(observed), nil
		},
	})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
