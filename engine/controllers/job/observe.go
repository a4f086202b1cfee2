package job

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	jobs batchlisters.JobLister
	pods cache.Indexer
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	jobs := env.Informers().Batch().V1().Jobs()
	pods := env.Informers().Core().V1().Pods().Informer()
	if err := owned.Index(pods); err != nil {
		return nil, err
	}
	o := &observer{jobs: jobs.Lister(), pods: pods.GetIndexer()}
	return env.Controller(reconcile.Config{
		Name:      "job-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*batchv1.Job](jobs.Informer()),
			reconcile.On(pods, o.ownersOf),
		},
	})
}

// ownersOf names the Job of a pod, or those that could adopt an orphan.
func (o *observer) ownersOf(pod *corev1.Pod) []reconcile.Key {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		if ref.Kind != Kind.Kind {
			return nil
		}
		return []reconcile.Key{{Namespace: pod.Namespace, Name: ref.Name}}
	}
	jobs, err := o.jobs.GetPodJobs(pod)
	if err != nil {
		return nil // nobody selects it
	}
	var keys []reconcile.Key
	for i := range jobs {
		keys = append(keys, reconcile.KeyOf(&jobs[i]))
	}
	return keys
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	job, err := o.jobs.Jobs(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, job.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, job.Namespace, selector)...)
	return Plan(Observed{Job: job, Pods: pods, Now: now}), nil
}
