package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

var accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod}

func validateAccessModes(modes []corev1.PersistentVolumeAccessMode, missing string, at *field.Path) field.ErrorList {
	if len(modes) == 0 {
		return field.ErrorList{field.Required(at, missing)}
	}
	var errs field.ErrorList
	alone, others := false, false
	for _, m := range modes {
		errs = append(errs, supported(m, at, accessModes...)...)
		alone = alone || m == corev1.ReadWriteOncePod
		others = others || m != corev1.ReadWriteOncePod && slices.Contains(accessModes, m)
	}
	if alone && others {
		errs = append(errs, field.Forbidden(at, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ValidateClaimSpec checks the spec of a claim, or of a template of claims.
func ValidateClaimSpec(spec *corev1.PersistentVolumeClaimSpec, at *field.Path) field.ErrorList {
	return validateClaimSpec(spec, claimAllowance{}, at)
}

// claimAllowance is what a claim may keep because it had it before.
type claimAllowance struct{ badSelector, badGroup bool }

func validateClaimSpec(spec *corev1.PersistentVolumeClaimSpec, may claimAllowance, at *field.Path) field.ErrorList {
	const noModes = "at least 1 access mode is required"
	var errs field.ErrorList
	if len(spec.AccessModes) == 0 {
		errs = append(errs, field.Required(at.Child("accessModes"), noModes))
	}
	errs = append(errs, metavalidation.ValidateLabelSelector(spec.Selector,
		metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: may.badSelector}, at.Child("selector"))...)
	if len(spec.AccessModes) > 0 {
		errs = append(errs, validateAccessModes(spec.AccessModes, noModes, at.Child("accessModes"))...)
	}
	storageAt := at.Child("resources").Key(string(corev1.ResourceStorage))
	if size, ok := spec.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(storageAt, ""))
	} else {
		errs = append(errs, validatePositive(size, storageAt)...)
	}
	if c := ptr.Deref(spec.StorageClassName, ""); c != "" {
		errs = append(errs, invalidEach(at.Child("storageClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	if m := spec.VolumeMode; m != nil {
		errs = append(errs, supported(*m, at.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	errs = append(errs, validateDataSources(spec, may.badGroup, at)...)
	if c := ptr.Deref(spec.VolumeAttributesClassName, ""); c != "" {
		errs = append(errs, invalidEach(at.Child("volumeAttributesClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	return errs
}

// validateDataSources checks what a volume is filled from, which may be said in two
// ways: dataSource, and dataSourceRef, which came later.
func validateDataSources(spec *corev1.PersistentVolumeClaimSpec, badGroup bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	source, ref := spec.DataSource, spec.DataSourceRef
	if source != nil {
		errs = append(errs, validateDataSource(ptr.Deref(source.APIGroup, ""), source.Kind, source.Name, badGroup, at.Child("dataSource"))...)
	}
	if ref == nil {
		return errs
	}
	refAt, namespace := at.Child("dataSourceRef"), ptr.Deref(ref.Namespace, "")
	errs = append(errs, validateDataSource(ptr.Deref(ref.APIGroup, ""), ref.Kind, ref.Name, badGroup, refAt)...)
	if namespace != "" {
		errs = append(errs, invalidEach(refAt.Child("namespace"), namespace, validation.ValidateNamespaceName(namespace, false))...)
	}
	switch {
	case source == nil:
	case namespace != "":
		errs = append(errs, field.Invalid(at, at.Child("dataSource"), "may not be specified when dataSourceRef.namespace is specified"))
	case !equality.Semantic.DeepEqual(source.APIGroup, ref.APIGroup) || source.Kind != ref.Kind || source.Name != ref.Name:
		errs = append(errs, field.Invalid(at, at.Child("dataSource"), "must match dataSourceRef"))
	}
	return errs
}

func validateDataSource(group, kind, name string, badGroup bool, at *field.Path) field.ErrorList {
	errs := requireString(name, at.Child("name"))
	errs = append(errs, requireString(kind, at.Child("kind"))...)
	if group == "" && kind != "PersistentVolumeClaim" {
		errs = append(errs, field.Invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
	}
	if group != "" && !badGroup {
		errs = append(errs, invalidEach(at.Child("apiGroup"), group, utilvalidation.IsDNS1123Subdomain(group))...)
	}
	return errs
}
