// Package ttlafterfinished deletes Jobs a while after they finished, if their
// ttlSecondsAfterFinished says so.
package ttlafterfinished

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

var resource = batchv1.SchemeGroupVersion.WithResource("jobs")

// Observed is the snapshot of one Job.
type Observed struct {
	Job *batchv1.Job
	Now time.Time
}

// Plan deletes the Job when its time has come.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	finished, ok := finishTime(o.Job)
	if !ok || o.Job.Spec.TTLSecondsAfterFinished == nil || o.Job.DeletionTimestamp != nil {
		return result
	}
	expires := finished.Add(time.Duration(*o.Job.Spec.TTLSecondsAfterFinished) * time.Second)
	if wait := expires.Sub(o.Now); wait > 0 {
		result.RequeueIn(wait)
		return result
	}
	remove := reconcile.DeleteOf(resource, o.Job)
	remove.ResourceVersion = o.Job.ResourceVersion // a longer ttl set meanwhile saves it
	remove.Propagation = metav1.DeletePropagationForeground
	result.Add(remove)
	return result
}

func finishTime(job *batchv1.Job) (time.Time, bool) {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}
