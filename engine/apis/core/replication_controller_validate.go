package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	errs := apis.ValidateMeta(&rc.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, ValidateNotNegative(rc.Spec.MinReadySeconds, specPath.Child("minReadySeconds"))...)
	if len(rc.Spec.Selector) == 0 {
		errs = append(errs, field.Required(specPath.Child("selector"), ""))
	}
	if rc.Spec.Replicas == nil {
		errs = append(errs, field.Required(specPath.Child("replicas"), ""))
	} else {
		errs = append(errs, ValidateNotNegative(*rc.Spec.Replicas, specPath.Child("replicas"))...)
	}
	if rc.Spec.Template == nil {
		return append(errs, field.Required(specPath.Child("template"), ""))
	}
	w := WorkloadTemplate{Kind: "ReplicationController", Selector: labels.Set(rc.Spec.Selector).AsSelectorPreValidated()}
	return append(errs, w.Validate(rc.Spec.Template, specPath.Child("template"))...)
}

func validateReplicationControllerUpdate(_ context.Context, rc, old *corev1.ReplicationController) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, validateReplicationController(rc)...)
}

func validateReplicationControllerStatusUpdate(_ context.Context, rc, old *corev1.ReplicationController) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, ReplicaCounts{
		Replicas: rc.Status.Replicas, FullyLabeled: rc.Status.FullyLabeledReplicas, Ready: rc.Status.ReadyReplicas,
		Available: rc.Status.AvailableReplicas, ObservedGeneration: rc.Status.ObservedGeneration,
	}.Validate(field.NewPath("status"))...)
}

// ReplicaCounts are the counts that the status of a replica set reports.
type ReplicaCounts struct {
	Replicas, FullyLabeled, Ready, Available int32
	ObservedGeneration                       int64
}

// Validate checks the counts against each other.
func (c ReplicaCounts) Validate(at *field.Path) field.ErrorList {
	errs := ValidateNotNegative(c.Replicas, at.Child("replicas"))
	errs = append(errs, ValidateNotNegative(c.FullyLabeled, at.Child("fullyLabeledReplicas"))...)
	errs = append(errs, ValidateNotNegative(c.Ready, at.Child("readyReplicas"))...)
	errs = append(errs, ValidateNotNegative(c.Available, at.Child("availableReplicas"))...)
	errs = append(errs, validateNotNegative(c.ObservedGeneration, at.Child("observedGeneration"))...)
	const above = "cannot be greater than status.replicas"
	if c.FullyLabeled > c.Replicas {
		errs = append(errs, field.Invalid(at.Child("fullyLabeledReplicas"), c.FullyLabeled, above))
	}
	if c.Ready > c.Replicas {
		errs = append(errs, field.Invalid(at.Child("readyReplicas"), c.Ready, above))
	}
	if c.Available > c.Replicas {
		errs = append(errs, field.Invalid(at.Child("availableReplicas"), c.Available, above))
	}
	if c.Available > c.Ready {
		errs = append(errs, field.Invalid(at.Child("availableReplicas"), c.Available, "cannot be greater than readyReplicas"))
	}
	return errs
}
