package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func persistentVolumeClaims() apis.Resource {
	rules := apis.TypedRules[*corev1.PersistentVolumeClaim]{
		Default:          DefaultPersistentVolumeClaim,
		PrepareForCreate: prepareClaimCreate,
		PrepareForUpdate: prepareClaimUpdate,
		PrepareForStatusUpdate: func(_ context.Context, c, old *corev1.PersistentVolumeClaim) {
			c.Spec = old.Spec
			if old.Status.HealthStatus == nil {
				c.Status.HealthStatus = nil // of a feature that is off by default
			}
		},
		Validate:             func(_ context.Context, c *corev1.PersistentVolumeClaim) field.ErrorList { return validateClaim(c) },
		ValidateUpdate:       validateClaimUpdate,
		ValidateStatusUpdate: validateClaimStatusUpdate,
		WarningsOnCreate:     claimWarnings,
		WarningsOnUpdate:     func(ctx context.Context, c, _ *corev1.PersistentVolumeClaim) []string { return claimWarnings(ctx, c) },
	}.Rules()
	return apis.Resource{
		GVK: kind("PersistentVolumeClaim"), Plural: "persistentvolumeclaims", Singular: "persistentvolumeclaim", ShortNames: []string{"pvc"}, Namespaced: true,
		New:            func() runtime.Object { return &corev1.PersistentVolumeClaim{} },
		NewList:        func() runtime.Object { return &corev1.PersistentVolumeClaimList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        persistentVolumeClaimColumns(),
		HasStatus:      true,
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"name": obj.(*corev1.PersistentVolumeClaim).Name}
		},
	}
}

// DefaultPersistentVolumeClaim fills what a claim, or a claim template of a
// stateful set, left out.
func DefaultPersistentVolumeClaim(c *corev1.PersistentVolumeClaim) {
	setDefault(&c.Status.Phase, corev1.ClaimPending)
	defaultClaimSpec(&c.Spec)
	DefaultResourceList(c.Status.Capacity)
	DefaultResourceList(c.Status.AllocatedResources)
}

func defaultClaimSpec(spec *corev1.PersistentVolumeClaimSpec) {
	setDefaultPtr(&spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	DefaultResourceList(spec.Resources.Limits)
	DefaultResourceList(spec.Resources.Requests)
}

func persistentVolumeClaimColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Status", "The phase of the claim.", func(c *corev1.PersistentVolumeClaim) string {
			if c.DeletionTimestamp != nil {
				return "Terminating"
			}
			return string(c.Status.Phase)
		}),
		apis.Text("Volume", "The volume bound.", func(c *corev1.PersistentVolumeClaim) string { return c.Spec.VolumeName }),
		apis.Text("Capacity", "The size of the volume.", func(c *corev1.PersistentVolumeClaim) string {
			if c.Spec.VolumeName == "" {
				return ""
			}
			size := c.Status.Capacity[corev1.ResourceStorage]
			return size.String()
		}),
		apis.Text("Access Modes", "The ways the volume can be mounted.", func(c *corev1.PersistentVolumeClaim) string {
			if c.Spec.VolumeName == "" {
				return ""
			}
			return FormatAccessModes(c.Status.AccessModes)
		}),
		apis.Text("StorageClass", "The class of volume wanted.", claimClass),
		apis.Text("VolumeAttributesClass", "The class of the attributes of the volume.", func(c *corev1.PersistentVolumeClaim) string {
			return apis.OrUnset(c.Spec.VolumeAttributesClassName)
		}),
		apis.AgeColumn(),
		apis.Text("VolumeMode", "Filesystem or Block.", func(c *corev1.PersistentVolumeClaim) string {
			return apis.OrUnset((*string)(c.Spec.VolumeMode))
		}).Wide(),
	}
}

func claimClass(c *corev1.PersistentVolumeClaim) string {
	if class, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	if c.Spec.StorageClassName != nil {
		return *c.Spec.StorageClassName
	}
	return ""
}
