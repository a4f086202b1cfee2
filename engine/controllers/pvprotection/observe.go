package pvprotection

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	volumes := env.Informers().Core().V1().PersistentVolumes()
	lister := volumes.Lister()
	return env.Controller(reconcile.Config{
		Name:    "pv-protection-controller",
		Watches: []reconcile.Watch{reconcile.Self[*corev1.PersistentVolume](volumes.Informer())},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			volume, err := lister.Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Volume: volume}), nil
		},
	})
}
