package job

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// trackedBy maps a Job's namespace and name to the pods that hold its finalizer.
const trackedBy = "trackedByJob"

func jobTracking(obj any) ([]string, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || !tracked(pod) {
		return nil, nil
	}
	name, ok := owned.Controller(pod, Kind.Kind)
	if !ok {
		return nil, nil
	}
	return []string{pod.Namespace + "/" + name}, nil
}

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
	if err := pods.AddIndexers(cache.Indexers{trackedBy: jobTracking}); err != nil {
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
	return owned.Keys(pod, Kind.Kind, func(pod *corev1.Pod) ([]*batchv1.Job, error) {
		found, err := o.jobs.GetPodJobs(pod)
		jobs := make([]*batchv1.Job, len(found))
		for i := range found {
			jobs[i] = &found[i]
		}
		return jobs, err
	})
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	job, err := o.jobs.Jobs(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return o.abandoned(key, "")
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if result, err := o.abandoned(key, job.UID); err != nil || len(result.Actions) > 0 {
		return result, err
	}
	selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := owned.By[*corev1.Pod](o.pods, job.UID)
	pods = append(pods, owned.Orphans[*corev1.Pod](o.pods, job.Namespace, selector)...)
	return Plan(Observed{Job: job, Pods: pods, Now: now}), nil
}

// abandoned lets go of pods whose Job of that name is gone: nobody will count
// them, and their finalizer would keep them for ever.
func (o *observer) abandoned(key reconcile.Key, living types.UID) (reconcile.Result, error) {
	var result reconcile.Result
	objs, err := o.pods.ByIndex(trackedBy, key.String())
	if err != nil {
		return result, err
	}
	var batch reconcile.Batch
	for _, obj := range objs {
		pod := obj.(*corev1.Pod)
		if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && ref.UID != living {
			batch = append(batch, release(pod))
		}
	}
	if len(batch) > 0 {
		result.Add(batch)
	}
	return result, nil
}
