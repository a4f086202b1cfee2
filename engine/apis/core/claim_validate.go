package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

var accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod}

func validateAccessModes(modes []corev1.PersistentVolumeAccessMode, missing string, at *field.Path) field.ErrorList {
	if len(modes) == 0 {
		return field.ErrorList{field.Required(at, missing)}
	}
	var errs field.ErrorList
	for _, m := range modes {
		if !slices.Contains(accessModes, m) {
			errs = append(errs, field.NotSupported(at, m, accessModes))
		}
	}
	if len(modes) > 1 && slices.Contains(modes, corev1.ReadWriteOncePod) {
		errs = append(errs, field.Forbidden(at, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ValidateClaimSpec checks the spec of a claim, or of a template of claims.
func ValidateClaimSpec(spec *corev1.PersistentVolumeClaimSpec, at *field.Path) field.ErrorList {
	errs := validateAccessModes(spec.AccessModes, "at least 1 access mode is required", at.Child("accessModes"))
	errs = append(errs, metavalidation.ValidateLabelSelector(spec.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	storageAt := at.Child("resources").Key(string(corev1.ResourceStorage))
	if size, ok := spec.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(storageAt, ""))
	} else if size.Sign() <= 0 {
		errs = append(errs, field.Invalid(storageAt, size.String(), "must be greater than zero"))
	}
	if c := ptr.Deref(spec.StorageClassName, ""); c != "" {
		errs = append(errs, invalidEach(at.Child("storageClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	if m := spec.VolumeMode; m != nil {
		errs = append(errs, oneOf(*m, at.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	if ds := spec.DataSource; ds != nil {
		errs = append(errs, validateDataSource(ptr.Deref(ds.APIGroup, ""), ds.Kind, ds.Name, at.Child("dataSource"))...)
	}
	if ds := spec.DataSourceRef; ds != nil {
		errs = append(errs, validateDataSource(ptr.Deref(ds.APIGroup, ""), ds.Kind, ds.Name, at.Child("dataSourceRef"))...)
	}
	if c := ptr.Deref(spec.VolumeAttributesClassName, ""); c != "" {
		errs = append(errs, invalidEach(at.Child("volumeAttributesClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	return errs
}

func validateDataSource(group, kind, name string, at *field.Path) field.ErrorList {
	errs := requireString(name, at.Child("name"))
	errs = append(errs, requireString(kind, at.Child("kind"))...)
	if group == "" && kind != "" && kind != "PersistentVolumeClaim" {
		errs = append(errs, field.Invalid(at, kind, ""))
	}
	return errs
}
