package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func persistentVolumes() apis.Resource {
	parts := apis.Parts[*corev1.PersistentVolume, corev1.PersistentVolumeSpec, corev1.PersistentVolumeStatus]{
		Spec:         func(v *corev1.PersistentVolume) *corev1.PersistentVolumeSpec { return &v.Spec },
		Status:       func(v *corev1.PersistentVolume) *corev1.PersistentVolumeStatus { return &v.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*corev1.PersistentVolume]{
		Default: defaultPersistentVolume,
		PrepareForCreate: func(_ context.Context, v *corev1.PersistentVolume) {
			now := metav1.Now()
			v.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending, LastPhaseTransitionTime: &now}
		},
		PrepareForUpdate: parts.Update,
		PrepareForStatusUpdate: func(ctx context.Context, v, old *corev1.PersistentVolume) {
			parts.UpdateStatus(ctx, v, old)
			stampPhase(v, old)
		},
		Validate: func(_ context.Context, v *corev1.PersistentVolume) field.ErrorList {
			return validatePersistentVolume(v)
		},
		ValidateUpdate: validatePersistentVolumeUpdate,
		ValidateStatusUpdate: func(_ context.Context, v, old *corev1.PersistentVolume) field.ErrorList {
			return validateVersionedStatus(v, old)
		},
		WarningsOnCreate: persistentVolumeWarnings,
		WarningsOnUpdate: func(ctx context.Context, v, _ *corev1.PersistentVolume) []string {
			return persistentVolumeWarnings(ctx, v)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("PersistentVolume"), Plural: "persistentvolumes", Singular: "persistentvolume", ShortNames: []string{"pv"},
		New:            func() runtime.Object { return &corev1.PersistentVolume{} },
		NewList:        func() runtime.Object { return &corev1.PersistentVolumeList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        persistentVolumeColumns(),
		HasStatus:      true,
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"name": obj.(*corev1.PersistentVolume).Name}
		},
	}
}

func defaultPersistentVolume(v *corev1.PersistentVolume) {
	setDefault(&v.Status.Phase, corev1.VolumePending)
	setDefault(&v.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	setDefaultPtr(&v.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	DefaultResourceList(v.Spec.Capacity)
	src := &v.Spec.PersistentVolumeSource
	switch {
	case src.HostPath != nil:
		setDefaultPtr(&src.HostPath.Type, corev1.HostPathUnset)
	case src.ISCSI != nil:
		setDefault(&src.ISCSI.ISCSIInterface, "default")
	case src.RBD != nil:
		setDefault(&src.RBD.RBDPool, "rbd")
		setDefault(&src.RBD.RadosUser, "admin")
		setDefault(&src.RBD.Keyring, "/etc/ceph/keyring")
	case src.AzureDisk != nil:
		defaultAzureDisk(src.AzureDisk)
	case src.ScaleIO != nil:
		setDefault(&src.ScaleIO.StorageMode, "ThinProvisioned")
		setDefault(&src.ScaleIO.FSType, "xfs")
	}
}

// stampPhase records when the phase last changed.
func stampPhase(v, old *corev1.PersistentVolume) {
	switch {
	case v.Status.Phase == old.Status.Phase:
		if v.Status.LastPhaseTransitionTime == nil {
			v.Status.LastPhaseTransitionTime = old.Status.LastPhaseTransitionTime
		}
	case v.Status.LastPhaseTransitionTime == nil || v.Status.LastPhaseTransitionTime.Equal(old.Status.LastPhaseTransitionTime):
		now := metav1.Now()
		v.Status.LastPhaseTransitionTime = &now
	}
}

func persistentVolumeColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Capacity", "The size of the volume.", func(v *corev1.PersistentVolume) string {
			size := v.Spec.Capacity[corev1.ResourceStorage]
			return size.String()
		}),
		apis.Text("Access Modes", "The ways the volume can be mounted.", func(v *corev1.PersistentVolume) string { return FormatAccessModes(v.Spec.AccessModes) }),
		apis.Text("Reclaim Policy", "What happens to the volume when it is released.", func(v *corev1.PersistentVolume) string {
			return string(v.Spec.PersistentVolumeReclaimPolicy)
		}),
		apis.Text("Status", "The phase of the volume.", func(v *corev1.PersistentVolume) string {
			if v.DeletionTimestamp != nil {
				return "Terminating"
			}
			return string(v.Status.Phase)
		}),
		apis.Text("Claim", "The claim that the volume is bound to.", func(v *corev1.PersistentVolume) string {
			if ref := v.Spec.ClaimRef; ref != nil {
				return ref.Namespace + "/" + ref.Name
			}
			return ""
		}),
		apis.Text("StorageClass", "The class of the volume.", func(v *corev1.PersistentVolume) string {
			if class, ok := v.Annotations[corev1.BetaStorageClassAnnotation]; ok {
				return class
			}
			return v.Spec.StorageClassName
		}),
		apis.Text("VolumeAttributesClass", "The class of the attributes of the volume.", func(v *corev1.PersistentVolume) string {
			return apis.OrUnset(v.Spec.VolumeAttributesClassName)
		}),
		apis.Text("Reason", "Why the volume is in this phase.", func(v *corev1.PersistentVolume) string { return v.Status.Reason }),
		apis.AgeColumn(),
		apis.Text("VolumeMode", "Filesystem or Block.", func(v *corev1.PersistentVolume) string {
			return apis.OrUnset((*string)(v.Spec.VolumeMode))
		}).Wide(),
	}
}
