package storage

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

// Limits of the parameters of a class.
const (
	maxParameters     = 512
	maxParametersSize = 256 * 1024
)

const (
	defaultClass     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultClass = "storageclass.beta.kubernetes.io/is-default-class"
)

func storageClasses() apis.Resource {
	rules := apis.TypedRules[*storagev1.StorageClass]{
		Default: func(c *storagev1.StorageClass) {
			setDefaultPtr(&c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			setDefaultPtr(&c.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		},
		Validate:       func(_ context.Context, c *storagev1.StorageClass) field.ErrorList { return validateStorageClass(c) },
		ValidateUpdate: validateStorageClassUpdate,
	}.Rules()
	return apis.Resource{
		GVK: kind("StorageClass"), Plural: "storageclasses", Singular: "storageclass", ShortNames: []string{"sc"},
		New:            func() runtime.Object { return &storagev1.StorageClass{} },
		NewList:        func() runtime.Object { return &storagev1.StorageClassList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			{Name: "Name", Type: "string", Format: "name", Description: apis.NameColumn().Description, Cell: func(obj runtime.Object) any {
				c := obj.(*storagev1.StorageClass)
				if c.Annotations[defaultClass] == "true" || c.Annotations[betaDefaultClass] == "true" {
					return c.Name + " (default)"
				}
				return c.Name
			}},
			apis.Text("Provisioner", "The driver that makes volumes.", func(c *storagev1.StorageClass) string { return c.Provisioner }),
			apis.Text("ReclaimPolicy", "What happens to a volume when it is released.", func(c *storagev1.StorageClass) string {
				return string(ptr.Deref(c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete))
			}),
			apis.Text("VolumeBindingMode", "When volumes are made and bound.", func(c *storagev1.StorageClass) string {
				return apis.OrUnset((*string)(c.VolumeBindingMode))
			}),
			apis.Flag("AllowVolumeExpansion", "Whether volumes may grow.", func(c *storagev1.StorageClass) bool { return ptr.Deref(c.AllowVolumeExpansion, false) }).AsText(),
			apis.AgeColumn(),
		},
	}
}

func validateStorageClass(c *storagev1.StorageClass) field.ErrorList {
	errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateProvisioner(c.Provisioner, field.NewPath("provisioner"))...)
	errs = append(errs, validateParameters(c.Parameters, true, field.NewPath("parameters"))...)
	policies := []corev1.PersistentVolumeReclaimPolicy{corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain}
	if p := c.ReclaimPolicy; p != nil && *p != "" && !slices.Contains(policies, *p) {
		errs = append(errs, field.NotSupported(field.NewPath("reclaimPolicy"), *p, policies))
	}
	modes := []storagev1.VolumeBindingMode{storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer}
	if m := c.VolumeBindingMode; m == nil {
		errs = append(errs, field.Required(field.NewPath("volumeBindingMode"), ""))
	} else if !slices.Contains(modes, *m) {
		errs = append(errs, field.NotSupported(field.NewPath("volumeBindingMode"), *m, modes))
	}
	return append(errs, core.ValidateTopologyTerms(c.AllowedTopologies, field.NewPath("allowedTopologies"))...)
}

func validateProvisioner(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for _, msg := range utilvalidation.IsQualifiedName(name) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	return errs
}

func validateParameters(parameters map[string]string, allowEmpty bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(parameters) > maxParameters {
		errs = append(errs, field.TooLong(at, "Provisioner Parameters exceeded max allowed", maxParameters))
	}
	size := 0
	for key, value := range parameters {
		if key == "" {
			errs = append(errs, field.Invalid(at, key, "field can not be empty."))
		}
		size += len(key) + len(value)
	}
	if size > maxParametersSize {
		errs = append(errs, field.TooLong(at, "", maxParametersSize))
	}
	if !allowEmpty && len(parameters) == 0 {
		errs = append(errs, field.Required(at, "must contain at least one key/value pair"))
	}
	return errs
}

func validateStorageClassUpdate(_ context.Context, c, old *storagev1.StorageClass) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"parameters", c.Parameters, old.Parameters}, {"provisioner", c.Provisioner, old.Provisioner},
		{"reclaimPolicy", c.ReclaimPolicy, old.ReclaimPolicy}, {"volumeBindingMode", c.VolumeBindingMode, old.VolumeBindingMode},
	} {
		errs = append(errs, validation.ValidateImmutableField(f.now, f.was, field.NewPath(f.name))...)
	}
	return errs
}

func volumeAttributesClasses() apis.Resource {
	rules := apis.TypedRules[*storagev1.VolumeAttributesClass]{
		Validate: func(_ context.Context, c *storagev1.VolumeAttributesClass) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			errs = append(errs, core.ValidateCSIDriverName(c.DriverName, field.NewPath("driverName"))...)
			return append(errs, validateParameters(c.Parameters, false, field.NewPath("parameters"))...)
		},
		ValidateUpdate: func(_ context.Context, c, old *storagev1.VolumeAttributesClass) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
			if c.DriverName != old.DriverName {
				errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
			}
			if !equality.Semantic.DeepEqual(c.Parameters, old.Parameters) {
				errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
			}
			return errs
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("VolumeAttributesClass"), Plural: "volumeattributesclasses", Singular: "volumeattributesclass", ShortNames: []string{"vac"},
		New:            func() runtime.Object { return &storagev1.VolumeAttributesClass{} },
		NewList:        func() runtime.Object { return &storagev1.VolumeAttributesClassList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("DriverName", "The driver that applies the attributes.", func(c *storagev1.VolumeAttributesClass) string { return c.DriverName }),
			apis.AgeColumn(),
		},
	}
}
