package ttlafterfinished

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	jobs := env.Informers().Batch().V1().Jobs()
	lister := jobs.Lister()
	return env.Controller(reconcile.Config{
		Name:    "ttl-after-finished-controller",
		Workers: 1,
		Watches: []reconcile.Watch{reconcile.Self[*batchv1.Job](jobs.Informer())},
		Reconcile: func(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
			job, err := lister.Jobs(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Job: job, Now: now}), nil
		},
	})
}
