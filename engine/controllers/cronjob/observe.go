package cronjob

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	cronJobs batchlisters.CronJobLister
	jobs     cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	cronJobs := env.Informers().Batch().V1().CronJobs()
	jobs := env.Informers().Batch().V1().Jobs().Informer()
	if err := owned.Index(jobs); err != nil {
		return nil, err
	}
	o := &observer{cronJobs: cronJobs.Lister(), jobs: jobs.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "cronjob-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*batchv1.CronJob](cronJobs.Informer()),
			reconcile.On(jobs, func(job *batchv1.Job) []reconcile.Key {
				name, ok := owned.Controller(job, Kind.Kind)
				if !ok {
					return nil
				}
				return []reconcile.Key{{Namespace: job.Namespace, Name: name}}
			}),
		},
	})
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	cronJob, err := o.cronJobs.CronJobs(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return Plan(Observed{CronJob: cronJob, Jobs: owned.By[*batchv1.Job](o.jobs, cronJob.UID), Now: now}), nil
}
