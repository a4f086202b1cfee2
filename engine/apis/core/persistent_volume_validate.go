package core

import (
	"context"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func validatePersistentVolume(v *corev1.PersistentVolume) field.ErrorList {
	spec := &v.Spec
	errs := apis.ValidateMeta(&v.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateAccessModes(spec.AccessModes, "", specPath.Child("accessModes"))...)
	errs = append(errs, validateCapacity(spec.Capacity, specPath.Child("capacity"))...)
	policyAt := specPath.Child("persistentVolumeReclaimPolicy")
	if p := spec.PersistentVolumeReclaimPolicy; p != "" {
		errs = append(errs, oneOf(p, policyAt, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	}
	if spec.NodeAffinity != nil {
		at := specPath.Child("nodeAffinity")
		if r := spec.NodeAffinity.Required; r != nil {
			errs = append(errs, ValidateNodeSelector(r, at.Child("required"))...)
		} else {
			errs = append(errs, field.Required(at.Child("required"), "must specify required node constraints"))
		}
	}
	errs = append(errs, validateVolumeBacking(spec)...)
	if h := spec.HostPath; h != nil && path.Clean(h.Path) == "/" && spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(policyAt, "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if c := spec.StorageClassName; c != "" {
		errs = append(errs, invalidEach(specPath.Child("storageClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	if m := spec.VolumeMode; m != nil {
		errs = append(errs, oneOf(*m, specPath.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	if c := ptr.Deref(spec.VolumeAttributesClassName, ""); c != "" {
		errs = append(errs, invalidEach(specPath.Child("volumeAttributesClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
		if spec.CSI == nil {
			errs = append(errs, field.Required(specPath.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	return errs
}

func validateCapacity(capacity corev1.ResourceList, at *field.Path) field.ErrorList {
	if len(capacity) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	size, ok := capacity[corev1.ResourceStorage]
	if !ok || len(capacity) > 1 {
		return field.ErrorList{field.NotSupported(at, fmt.Sprint(capacity), []corev1.ResourceName{corev1.ResourceStorage})}
	}
	if size.Sign() <= 0 {
		return field.ErrorList{field.Invalid(at.Key(string(corev1.ResourceStorage)), size.String(), "must be greater than zero")}
	}
	return nil
}

// validateVolumeBacking checks that exactly one thing backs the volume.
func validateVolumeBacking(spec *corev1.PersistentVolumeSpec) field.ErrorList {
	src := &spec.PersistentVolumeSource
	kinds := []volumeKind{
		{"hostPath", src.HostPath != nil, func(at *field.Path) field.ErrorList { return validateHostPath(src.HostPath, at) }},
		{"nfs", src.NFS != nil, func(at *field.Path) field.ErrorList { return validateNFS(src.NFS, at) }},
		{"local", src.Local != nil, func(at *field.Path) field.ErrorList {
			errs := requireString(src.Local.Path, at.Child("path"))
			if len(errs) == 0 {
				errs = validateNoBacksteps(src.Local.Path, at.Child("path"))
			}
			if spec.NodeAffinity == nil {
				errs = append(errs, field.Required(specPath.Child("nodeAffinity"), "Local volume requires node affinity"))
			}
			return errs
		}},
		{"csi", src.CSI != nil, func(at *field.Path) field.ErrorList {
			errs := ValidateCSIDriverName(src.CSI.Driver, at.Child("driver"))
			return append(errs, requireString(src.CSI.VolumeHandle, at.Child("volumeHandle"))...)
		}},
		{"gcePersistentDisk", src.GCEPersistentDisk != nil, nil},
		{"awsElasticBlockStore", src.AWSElasticBlockStore != nil, nil},
		{"glusterfs", src.Glusterfs != nil, nil},
		{"flocker", src.Flocker != nil, nil},
		{"rbd", src.RBD != nil, nil},
		{"quobyte", src.Quobyte != nil, nil},
		{"cephfs", src.CephFS != nil, nil},
		{"iscsi", src.ISCSI != nil, nil},
		{"cinder", src.Cinder != nil, nil},
		{"fc", src.FC != nil, nil},
		{"flexVolume", src.FlexVolume != nil, nil},
		{"azureFile", src.AzureFile != nil, nil},
		{"vsphereVolume", src.VsphereVolume != nil, nil},
		{"photonPersistentDisk", src.PhotonPersistentDisk != nil, nil},
		{"portworxVolume", src.PortworxVolume != nil, nil},
		{"azureDisk", src.AzureDisk != nil, nil},
		{"scaleIO", src.ScaleIO != nil, nil},
		{"storageos", src.StorageOS != nil, nil},
	}
	return validateOneSource(kinds, specPath)
}

func validatePersistentVolumeUpdate(_ context.Context, v, old *corev1.PersistentVolume) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&v.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validatePersistentVolume(v)...)
	now, was := v.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource
	if now.CSI != nil && was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil {
		csi := *now.CSI
		csi.ControllerExpandSecretRef = nil
		now.CSI = &csi
	}
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(specPath.Child("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+diff.Diff(was, now)))
	}
	errs = append(errs, validation.ValidateImmutableField(v.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if old.Spec.NodeAffinity != nil && !equality.Semantic.DeepEqual(v.Spec.NodeAffinity, old.Spec.NodeAffinity) {
		errs = append(errs, field.Invalid(field.NewPath("nodeAffinity"), v.Spec.NodeAffinity, immutable+", except for updating from beta label to GA"))
	}
	return errs
}

func validateVersionedStatus(v, old *corev1.PersistentVolume) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&v.ObjectMeta, &old.ObjectMeta, metadata)
	if v.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	return errs
}

func persistentVolumeWarnings(_ context.Context, v *corev1.PersistentVolume) []string {
	var out []string
	if _, ok := v.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		out = append(out, fmt.Sprintf("metadata.annotations[%s]: deprecated since v1.8; use \"storageClassName\" attribute instead", corev1.BetaStorageClassAnnotation))
	}
	if v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		out = append(out, "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.")
	}
	return out
}
