package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func jobColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Status", "Whether the job runs, is complete or has failed.", jobStatus),
		apis.Text("Completions", "Pods that succeeded, of those wanted.", jobCompletions),
		apis.Text("Duration", "Time from start to completion, or to now.", jobDuration),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(j *batchv1.Job) string { return core.ContainerNames(&j.Spec.Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(j *batchv1.Job) string { return core.ContainerImages(&j.Spec.Template.Spec) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(j *batchv1.Job) string { return core.FormatSelector(j.Spec.Selector) }).Wide(),
	}
}

func jobStatus(j *batchv1.Job) string {
	switch {
	case has(&j.Status, batchv1.JobComplete):
		return "Complete"
	case has(&j.Status, batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case has(&j.Status, batchv1.JobSuspended):
		return "Suspended"
	case has(&j.Status, batchv1.JobFailureTarget):
		return "FailureTarget"
	case has(&j.Status, batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	default:
		return "Running"
	}
}

func jobCompletions(j *batchv1.Job) string {
	if j.Spec.Completions != nil {
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *j.Spec.Completions)
	}
	if parallelism := ptr.Deref(j.Spec.Parallelism, 0); parallelism > 1 {
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, parallelism)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func jobDuration(j *batchv1.Job) string {
	switch {
	case j.Status.StartTime == nil:
		return ""
	case j.Status.CompletionTime == nil:
		return apis.Since(*j.Status.StartTime)
	default:
		return duration.HumanDuration(j.Status.CompletionTime.Sub(j.Status.StartTime.Time))
	}
}
