package apis

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateMeta checks metadata as built-in kinds do: beyond what every object must
// keep, a finalizer without a domain must be one that Kubernetes knows.
func ValidateMeta(m *metav1.ObjectMeta, namespaced bool, name validation.ValidateNameFunc, at *field.Path) field.ErrorList {
	return append(validation.ValidateObjectMeta(m, namespaced, name, at), validateFinalizers(m.Finalizers, at)...)
}

// ValidateMetaUpdate checks how metadata may change.
func ValidateMetaUpdate(m, old *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	return append(validation.ValidateObjectMetaUpdate(m, old, at), validateFinalizers(m.Finalizers, at)...)
}

// ownFinalizers need no domain.
var ownFinalizers = []string{string(corev1.FinalizerKubernetes), metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents}

func validateFinalizers(list []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range list {
		errs = append(errs, ValidateFinalizer(name, at.Child("finalizers").Index(i))...)
	}
	return errs
}

// ValidateFinalizer refuses a finalizer that nobody can be told to own.
func ValidateFinalizer(name string, at *field.Path) field.ErrorList {
	if strings.Contains(name, "/") || slices.Contains(ownFinalizers, name) {
		return nil
	}
	return field.ErrorList{field.Invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified")}
}
