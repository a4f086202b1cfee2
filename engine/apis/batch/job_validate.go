package batch

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

var (
	metadata   = field.NewPath("metadata")
	specPath   = field.NewPath("spec")
	statusPath = field.NewPath("status")
)

const (
	maxIndexedParallelism  = 100_000
	maxFailedIndexesMany   = 10_000
	maxManagedByLength     = 63
	manyIndexedCompletions = 100_000
)

func validateJob(_ context.Context, j *batchv1.Job) field.ErrorList {
	errs := apis.ValidateMeta(&j.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateGeneratedSelector(j)...)
	errs = append(errs, validateJobSpec(&j.Spec, specPath)...)
	if !indexed(&j.Spec) || ptr.Deref(j.Spec.Completions, 0) == 0 {
		return errs
	}
	name := fmt.Sprintf("%s-%d", j.Name, *j.Spec.Completions-1)
	if bad := utilvalidation.IsDNS1123Label(name); len(bad) > 0 {
		errs = append(errs, field.Invalid(metadata.Child("name"), j.Name, fmt.Sprintf("will not able to create pod with invalid DNS label: %s", name)))
	}
	return errs
}

// validateGeneratedSelector refuses labels that would keep the selector made on
// creation from matching the pods, or would match those of others.
func validateGeneratedSelector(j *batchv1.Job) field.ErrorList {
	if ptr.Deref(j.Spec.ManualSelector, false) || j.Spec.Selector == nil {
		return nil
	}
	var errs field.ErrorList
	if j.UID == "" {
		errs = append(errs, field.Required(metadata.Child("uid"), ""))
	}
	at := specPath.Child("template", "metadata", "labels")
	own := ownLabels(j)
	for _, key := range []string{legacyControllerUID, legacyJobName, batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
		switch value, set := j.Spec.Template.Labels[key]; {
		case !set:
			errs = append(errs, field.Required(at.Key(key), fmt.Sprintf("must be '%s'", own[key])))
		case value != own[key]:
			errs = append(errs, field.Invalid(at.Key(key), j.Spec.Template.Labels, fmt.Sprintf("must be '%s'", own[key])))
		}
	}
	if selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector); err == nil && !selector.Matches(labels.Set(j.Spec.Template.Labels)) {
		errs = append(errs, field.Invalid(specPath.Child("selector"), j.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

// validateJobSpec checks the spec of a job, whose selector is known by now.
func validateJobSpec(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	errs := validateAnyJobSpec(spec, at)
	if spec.Selector == nil {
		return append(errs, field.Required(at.Child("selector"), ""))
	}
	errs = append(errs, metavalidation.ValidateLabelSelector(spec.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("template", "metadata", "labels"), spec.Template.Labels, "`selector` does not match template `labels`"))
	}
	return errs
}

// validateAnyJobSpec checks what jobs and templates of jobs have in common.
func validateAnyJobSpec(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name  string
		value *int32
	}{
		{"parallelism", spec.Parallelism}, {"completions", spec.Completions}, {"backoffLimit", spec.BackoffLimit},
		{"ttlSecondsAfterFinished", spec.TTLSecondsAfterFinished}, {"backoffLimitPerIndex", spec.BackoffLimitPerIndex},
		{"maxFailedIndexes", spec.MaxFailedIndexes},
	} {
		if f.value != nil {
			errs = append(errs, core.ValidateNotNegative(*f.value, at.Child(f.name))...)
		}
	}
	if d := spec.ActiveDeadlineSeconds; d != nil {
		errs = append(errs, validation.ValidateNonnegativeField(*d, at.Child("activeDeadlineSeconds"))...)
	}
	if m := spec.ManagedBy; m != nil {
		errs = append(errs, utilvalidation.IsDomainPrefixedPath(at.Child("managedBy"), *m)...)
		if len(*m) > maxManagedByLength {
			errs = append(errs, field.TooLong(at.Child("managedBy"), *m, maxManagedByLength))
		}
	}
	errs = append(errs, validateCompletionMode(spec, at)...)
	errs = append(errs, validatePodFailurePolicy(spec, at.Child("podFailurePolicy"))...)
	errs = append(errs, validateSuccessPolicy(spec, at.Child("successPolicy"))...)
	errs = append(errs, validateReplacementPolicy(spec, at.Child("podReplacementPolicy"))...)
	errs = append(errs, core.ValidatePodTemplate(&spec.Template, at.Child("template"))...)
	return append(errs, validateJobRestartPolicy(spec, at.Child("template", "spec", "restartPolicy"))...)
}

func validateJobRestartPolicy(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	switch p := spec.Template.Spec.RestartPolicy; {
	case p == corev1.RestartPolicyAlways:
		return field.ErrorList{field.Required(at, fmt.Sprintf("valid values: %q, %q", corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever))}
	case p != corev1.RestartPolicyOnFailure && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.NotSupported(at, p, []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever})}
	case spec.PodFailurePolicy != nil && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.Invalid(at, p, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	}
	return nil
}

func validateCompletionMode(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m := spec.CompletionMode; m != nil {
		known := []batchv1.CompletionMode{batchv1.NonIndexedCompletion, batchv1.IndexedCompletion}
		if !slices.Contains(known, *m) {
			errs = append(errs, field.NotSupported(at.Child("completionMode"), *m, known))
		}
	}
	perIndexAt := at.Child("backoffLimitPerIndex")
	if !indexed(spec) {
		if spec.BackoffLimitPerIndex != nil {
			errs = append(errs, field.Invalid(perIndexAt, *spec.BackoffLimitPerIndex, "requires indexed completion mode"))
		}
		if spec.MaxFailedIndexes != nil {
			errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *spec.MaxFailedIndexes, "requires indexed completion mode"))
		}
		return errs
	}
	if spec.Completions == nil {
		errs = append(errs, field.Required(at.Child("completions"), fmt.Sprintf("when completion mode is %s", batchv1.IndexedCompletion)))
	}
	parallelism, completions := ptr.Deref(spec.Parallelism, 0), ptr.Deref(spec.Completions, 0)
	if parallelism > maxIndexedParallelism {
		errs = append(errs, field.Invalid(at.Child("parallelism"), parallelism,
			fmt.Sprintf("must be less than or equal to %d when completion mode is %s", maxIndexedParallelism, batchv1.IndexedCompletion)))
	}
	if spec.MaxFailedIndexes != nil {
		if spec.BackoffLimitPerIndex == nil {
			errs = append(errs, field.Required(perIndexAt, "when maxFailedIndexes is specified"))
		}
		if *spec.MaxFailedIndexes > completions {
			errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *spec.MaxFailedIndexes, "must be less than or equal to completions"))
		}
	}
	if spec.BackoffLimitPerIndex != nil && completions > manyIndexedCompletions {
		if spec.MaxFailedIndexes == nil {
			errs = append(errs, field.Required(at.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyIndexedCompletions)))
		} else if *spec.MaxFailedIndexes > maxFailedIndexesMany {
			errs = append(errs, field.Invalid(at.Child("maxFailedIndexes"), *spec.MaxFailedIndexes, fmt.Sprintf("must be less than or equal to %d", maxFailedIndexesMany)))
		}
	}
	return errs
}

func validateReplacementPolicy(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	p := spec.PodReplacementPolicy
	if p == nil {
		return nil
	}
	known := []batchv1.PodReplacementPolicy{batchv1.Failed, batchv1.TerminatingOrFailed}
	if spec.PodFailurePolicy != nil {
		known = known[:1]
	}
	if !slices.Contains(known, *p) {
		return field.ErrorList{field.NotSupported(at, *p, known)}
	}
	return nil
}
