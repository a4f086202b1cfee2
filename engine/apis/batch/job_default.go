package batch

import (
	"math"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/apis/core"
)

func defaultJob(j *batchv1.Job) {
	spec := &j.Spec
	if spec.Completions == nil && spec.Parallelism == nil {
		setDefaultPtr(&spec.Completions, 1)
	}
	setDefaultPtr(&spec.Parallelism, 1)
	if spec.BackoffLimitPerIndex != nil {
		setDefaultPtr(&spec.BackoffLimit, math.MaxInt32)
	}
	setDefaultPtr(&spec.BackoffLimit, 6)
	setDefaultPtr(&spec.CompletionMode, batchv1.NonIndexedCompletion)
	setDefaultPtr(&spec.Suspend, false)
	setDefaultPtr(&spec.ManualSelector, false)
	if spec.PodFailurePolicy != nil {
		setDefaultPtr(&spec.PodReplacementPolicy, batchv1.Failed)
	}
	setDefaultPtr(&spec.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	if len(j.Labels) == 0 && spec.Template.Labels != nil {
		j.Labels = spec.Template.Labels // the same map: what creation adds to the template is a label of the job, too
	}
	defaultJobSpec(spec)
}

// defaultJobSpec fills what jobs and the templates of cron jobs have in common.
func defaultJobSpec(spec *batchv1.JobSpec) {
	core.DefaultPodTemplate(&spec.Template)
	if spec.PodFailurePolicy == nil {
		return
	}
	for i := range spec.PodFailurePolicy.Rules {
		patterns := spec.PodFailurePolicy.Rules[i].OnPodConditions
		for j := range patterns {
			setDefault(&patterns[j].Status, corev1.ConditionTrue)
		}
	}
}
