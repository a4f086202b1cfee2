package batch

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"
)

// Labels of the pods of a job, in the form before batch.kubernetes.io/.
const (
	legacyJobName       = "job-name"
	legacyControllerUID = "controller-uid"
)

func prepareJobCreate(_ context.Context, j *batchv1.Job) {
	j.Status = batchv1.JobStatus{}
	j.Generation = 1
	j.Spec.Scheduling = nil // of a feature that is off by default
	if !ptr.Deref(j.Spec.ManualSelector, false) {
		generateSelector(j)
	}
}

// generateSelector selects the pods of this job alone by its UID, and puts that
// and its name on the template. Values the client set itself are left for
// validation to refuse.
func generateSelector(j *batchv1.Job) {
	t := &j.Spec.Template
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	for key, value := range ownLabels(j) {
		if _, set := t.Labels[key]; !set {
			t.Labels[key] = value
		}
	}
	if j.Spec.Selector == nil {
		j.Spec.Selector = &metav1.LabelSelector{}
	}
	if j.Spec.Selector.MatchLabels == nil {
		j.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, set := j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel]; !set {
		j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(j.UID)
	}
}

func ownLabels(j *batchv1.Job) map[string]string {
	return map[string]string{
		legacyJobName:              j.Name,
		batchv1.JobNameLabel:       j.Name,
		legacyControllerUID:        string(j.UID),
		batchv1.ControllerUidLabel: string(j.UID),
	}
}

func prepareJobUpdate(_ context.Context, j, old *batchv1.Job) {
	j.Status = old.Status
	j.Spec.Scheduling = old.Spec.Scheduling
	if !equality.Semantic.DeepEqual(j.Spec, old.Spec) {
		j.Generation = old.Generation + 1
	}
}

func prepareJobStatusUpdate(_ context.Context, j, old *batchv1.Job) { j.Spec = old.Spec }

func jobCreateWarnings(_ context.Context, j *batchv1.Job) []string {
	var out []string
	if bad := utilvalidation.IsDNS1123Label(j.Name); len(bad) > 0 {
		out = append(out, fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", bad))
	}
	out = append(out, manyIndexesWarning(&j.Spec)...)
	return append(out, core.PodTemplateWarnings(specPath.Child("template"), &j.Spec.Template, nil)...)
}

func jobUpdateWarnings(_ context.Context, j, old *batchv1.Job) []string {
	out := core.PodTemplateWarnings(specPath.Child("template"), &j.Spec.Template, &old.Spec.Template)
	if j.Generation != old.Generation {
		out = append(out, manyIndexesWarning(&j.Spec)...)
	}
	return out
}

func manyIndexesWarning(spec *batchv1.JobSpec) []string {
	const manyCompletions, manyParallel = 100_000, 10_000
	if indexed(spec) && ptr.Deref(spec.Completions, 0) > manyCompletions && ptr.Deref(spec.Parallelism, 0) > manyParallel {
		return []string{"In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"}
	}
	return nil
}

func indexed(spec *batchv1.JobSpec) bool {
	return ptr.Deref(spec.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}
