package core

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// prepareNamespaceCreate adds the finalizer that empties a namespace on deletion.
func prepareNamespaceCreate(_ context.Context, n *corev1.Namespace) {
	n.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes) {
		n.Spec.Finalizers = append(n.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

func prepareNamespaceUpdate(_ context.Context, n, old *corev1.Namespace) {
	n.Spec.Finalizers = old.Spec.Finalizers
	n.Status = old.Status
}

func prepareNamespaceStatusUpdate(_ context.Context, n, old *corev1.Namespace) { n.Spec = old.Spec }

func validateNamespace(_ context.Context, n *corev1.Namespace) field.ErrorList {
	errs := apis.ValidateMeta(&n.ObjectMeta, false, validation.ValidateNamespaceName, metadata)
	for _, f := range n.Spec.Finalizers {
		at := field.NewPath("spec", "finalizers")
		errs = append(errs, invalidEach(at, string(f), utilvalidation.IsQualifiedName(string(f)))...)
		errs = append(errs, apis.ValidateFinalizer(string(f), at)...)
	}
	return errs
}

func validateNamespaceUpdate(_ context.Context, n, old *corev1.Namespace) field.ErrorList {
	return apis.ValidateMetaUpdate(&n.ObjectMeta, &old.ObjectMeta, metadata)
}

func validateNamespaceStatusUpdate(_ context.Context, n, old *corev1.Namespace) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&n.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status", "Phase")
	if n.DeletionTimestamp.IsZero() {
		if n.Status.Phase != corev1.NamespaceActive {
			errs = append(errs, field.Invalid(at, n.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty"))
		}
	} else if n.Status.Phase != corev1.NamespaceTerminating {
		errs = append(errs, field.Invalid(at, n.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	return errs
}
