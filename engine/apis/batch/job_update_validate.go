package batch

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateJobUpdate(_ context.Context, j, old *batchv1.Job) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&j.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateJobSpec(&j.Spec, specPath)...)
	errs = append(errs, validateCompletionsUpdate(&j.Spec, &old.Spec)...)
	fixed := func(now, was any, name string) {
		errs = append(errs, validation.ValidateImmutableField(now, was, specPath.Child(name))...)
	}
	fixed(j.Spec.Selector, old.Spec.Selector, "selector")
	errs = append(errs, validateTemplateUpdate(j, old)...)
	fixed(j.Spec.CompletionMode, old.Spec.CompletionMode, "completionMode")
	fixed(j.Spec.PodFailurePolicy, old.Spec.PodFailurePolicy, "podFailurePolicy")
	fixed(j.Spec.BackoffLimitPerIndex, old.Spec.BackoffLimitPerIndex, "backoffLimitPerIndex")
	fixed(j.Spec.ManagedBy, old.Spec.ManagedBy, "managedBy")
	fixed(j.Spec.SuccessPolicy, old.Spec.SuccessPolicy, "successPolicy")
	return errs
}

// validateCompletionsUpdate lets an indexed job change its completions together
// with its parallelism.
func validateCompletionsUpdate(spec, old *batchv1.JobSpec) field.ErrorList {
	if equality.Semantic.DeepEqual(spec.Completions, old.Completions) {
		return nil
	}
	at := specPath.Child("completions")
	if !indexed(spec) || spec.Completions == nil || old.Completions == nil {
		return validation.ValidateImmutableField(spec.Completions, old.Completions, at)
	}
	if spec.Parallelism == nil || *spec.Completions != *spec.Parallelism {
		return field.ErrorList{field.Invalid(at, *spec.Completions, "can only be modified in tandem with spec.parallelism")}
	}
	return nil
}

// validateTemplateUpdate lets a suspended job that never started be placed
// elsewhere, and refuses any other change of its template.
func validateTemplateUpdate(j, old *batchv1.Job) field.ErrorList {
	at := specPath.Child("template")
	was := &old.Spec.Template
	if ptr.Deref(old.Spec.Suspend, false) && old.Status.StartTime == nil {
		was = was.DeepCopy()
		now := &j.Spec.Template
		switch {
		case now.Spec.Affinity != nil && was.Spec.Affinity != nil:
			was.Spec.Affinity.NodeAffinity = now.Spec.Affinity.NodeAffinity
		case now.Spec.Affinity != nil:
			was.Spec.Affinity = &corev1.Affinity{NodeAffinity: now.Spec.Affinity.NodeAffinity}
		case was.Spec.Affinity != nil:
			was.Spec.Affinity.NodeAffinity = nil
			if was.Spec.Affinity.PodAffinity == nil && was.Spec.Affinity.PodAntiAffinity == nil {
				was.Spec.Affinity = nil
			}
		}
		was.Spec.NodeSelector = now.Spec.NodeSelector
		was.Spec.Tolerations = now.Spec.Tolerations
		was.Annotations = now.Annotations
		was.Labels = now.Labels
		was.Spec.SchedulingGates = now.Spec.SchedulingGates
		sameResources(was.Spec.Containers, now.Spec.Containers)
		sameResources(was.Spec.InitContainers, now.Spec.InitContainers)
	}
	return validation.ValidateImmutableField(j.Spec.Template, *was, at)
}

func sameResources(into, from []corev1.Container) {
	for i := range into {
		if i < len(from) && into[i].Name == from[i].Name {
			into[i].Resources = from[i].Resources
		}
	}
}

func validateJobStatusUpdate(_ context.Context, j, old *batchv1.Job) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&j.ObjectMeta, &old.ObjectMeta, metadata)
	s := &j.Status
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"active", s.Active}, {"succeeded", s.Succeeded}, {"failed", s.Failed},
		{"ready", ptr.Deref(s.Ready, 0)}, {"terminating", ptr.Deref(s.Terminating, 0)},
	} {
		errs = append(errs, core.ValidateNotNegative(f.value, statusPath.Child(f.name))...)
	}
	complete, failed := has(s, batchv1.JobComplete), has(s, batchv1.JobFailed)
	conditionsAt := statusPath.Child("conditions")
	if complete && failed {
		errs = append(errs, field.Invalid(conditionsAt, field.OmitValueType{}, "cannot set Complete=True and Failed=true conditions"))
	}
	for _, t := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet} {
		if has(&old.Status, t) && !has(s, t) {
			errs = append(errs, field.Invalid(conditionsAt, field.OmitValueType{}, "cannot disable a terminal job condition of type: "+string(t)))
		}
	}
	if (complete || failed) && s.Active > 0 {
		errs = append(errs, field.Invalid(statusPath.Child("active"), s.Active, "active>0 is invalid for finished job"))
	}
	switch at := statusPath.Child("completionTime"); {
	case complete && s.CompletionTime == nil:
		errs = append(errs, field.Required(at, "completionTime is required for Complete jobs"))
	case !complete && s.CompletionTime != nil:
		errs = append(errs, field.Invalid(at, s.CompletionTime, "completionTime cannot be set when there is no Complete=True condition"))
	case old.Status.CompletionTime != nil && !old.Status.CompletionTime.Equal(s.CompletionTime):
		errs = append(errs, field.Invalid(at, s.CompletionTime, "field is immutable"))
	}
	if old.Status.StartTime != nil && s.StartTime == nil && !ptr.Deref(j.Spec.Suspend, false) && !has(s, batchv1.JobSuspended) {
		errs = append(errs, field.Required(statusPath.Child("startTime"), "startTime cannot be removed for unsuspended job"))
	}
	if s.Succeeded < old.Status.Succeeded && !indexed(&j.Spec) {
		errs = append(errs, field.Invalid(statusPath.Child("succeeded"), s.Succeeded, "cannot decrease the number of succeeded pods"))
	}
	return errs
}

func has(s *batchv1.JobStatus, t batchv1.JobConditionType) bool {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return s.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}
