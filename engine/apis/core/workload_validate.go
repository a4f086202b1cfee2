package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// WorkloadTemplate says what a workload expects of its pod template.
type WorkloadTemplate struct {
	// Kind names the workload in messages.
	Kind string
	// Selector must match the labels of the template, if it is not empty.
	Selector labels.Selector
}

// Validate checks the template of a workload that keeps pods running for ever.
func (w WorkloadTemplate) Validate(t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if w.Selector != nil && !w.Selector.Empty() && !w.Selector.Matches(labels.Set(t.Labels)) {
		errs = append(errs, field.Invalid(at.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, ValidatePodTemplate(t, at)...)
	if t.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(at.Child("spec", "restartPolicy"), t.Spec.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(at.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in "+w.Kind+" is not Supported"))
	}
	return errs
}

// ValidateNotNegative checks a count.
func ValidateNotNegative(value int32, at *field.Path) field.ErrorList {
	return validateNotNegative(int64(value), at)
}
