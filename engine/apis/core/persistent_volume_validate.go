package core

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func validatePersistentVolume(v *corev1.PersistentVolume) field.ErrorList {
	errs := apis.ValidateMeta(&v.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateVolumeSpec(&v.Spec, v.Name, specPath)...)
}

// ValidateInlineVolume checks a volume that an attachment carries with it: a CSI
// volume with nothing that only a volume of its own can have.
func ValidateInlineVolume(spec *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	forbid := func(set bool, name, why string) {
		if set {
			errs = append(errs, field.Forbidden(at.Child(name), why+" in the context of inline volumes"))
		}
	}
	forbid(spec.ClaimRef != nil, "claimRef", "may not be specified")
	forbid(len(spec.Capacity) > 0, "capacity", "may not be specified")
	if spec.CSI == nil {
		errs = append(errs, field.Required(at.Child("csi"), "has to be specified in the context of inline volumes"))
	}
	errs = append(errs, validateAccessModes(spec.AccessModes, "", at.Child("accessModes"))...)
	policy := spec.PersistentVolumeReclaimPolicy
	forbid(policy != "" && policy != corev1.PersistentVolumeReclaimRetain, "persistentVolumeReclaimPolicy", "may only be "+string(corev1.PersistentVolumeReclaimRetain))
	forbid(spec.NodeAffinity != nil, "nodeAffinity", "may not be specified")
	errs = append(errs, validateVolumeBacking(spec, "", at)...)
	errs = append(errs, validateRecycledRoot(spec, at)...)
	forbid(spec.StorageClassName != "", "storageClassName", "may not be specified")
	mode := ptr.Deref(spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	forbid(mode != corev1.PersistentVolumeFilesystem, "volumeMode", "may not specify volumeMode other than "+string(corev1.PersistentVolumeFilesystem))
	return append(errs, validateAttributesClass(spec, at)...)
}

func validateVolumeSpec(spec *corev1.PersistentVolumeSpec, name string, at *field.Path) field.ErrorList {
	errs := validateAccessModes(spec.AccessModes, "", at.Child("accessModes"))
	errs = append(errs, validateCapacity(spec.Capacity, at.Child("capacity"))...)
	if p := spec.PersistentVolumeReclaimPolicy; p != "" {
		errs = append(errs, supported(p, at.Child("persistentVolumeReclaimPolicy"),
			corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	}
	if spec.NodeAffinity != nil {
		affinityAt := at.Child("nodeAffinity", "required")
		if r := spec.NodeAffinity.Required; r != nil {
			errs = append(errs, ValidateNodeSelector(r, affinityAt)...)
		} else {
			errs = append(errs, field.Required(affinityAt, "must specify required node constraints"))
		}
	}
	errs = append(errs, validateVolumeBacking(spec, name, at)...)
	errs = append(errs, validateRecycledRoot(spec, at)...)
	if c := spec.StorageClassName; c != "" {
		errs = append(errs, invalidEach(at.Child("storageClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	if m := spec.VolumeMode; m != nil {
		errs = append(errs, supported(*m, at.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	return append(errs, validateAttributesClass(spec, at)...)
}

func validateRecycledRoot(spec *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	if h := spec.HostPath; h != nil && path.Clean(h.Path) == "/" && spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		return field.ErrorList{field.Forbidden(at.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'")}
	}
	return nil
}

func validateAttributesClass(spec *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	if spec.VolumeAttributesClassName == nil {
		return nil
	}
	var errs field.ErrorList
	if c := *spec.VolumeAttributesClassName; c == "" {
		errs = append(errs, field.Required(at.Child("volumeAttributesClassName"), "an empty string is disallowed"))
	} else {
		errs = append(errs, invalidEach(at.Child("volumeAttributesClassName"), c, validation.NameIsDNSSubdomain(c, false))...)
	}
	if spec.CSI == nil {
		errs = append(errs, field.Required(at.Child("csi"), "has to be specified when using volumeAttributesClassName"))
	}
	return errs
}

// validateCapacity takes storage and nothing else.
func validateCapacity(capacity corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(capacity) == 0 {
		errs = append(errs, field.Required(at, ""))
	}
	if _, ok := capacity[corev1.ResourceStorage]; !ok || len(capacity) > 1 {
		errs = append(errs, field.NotSupported(at, capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range slices.Sorted(maps.Keys(capacity)) {
		amount, amountAt := capacity[name], at.Key(string(name))
		if amount.Sign() < 0 {
			errs = append(errs, field.Invalid(amountAt, amount.Value(), "must be a valid resource quantity"))
		}
		errs = append(errs, validatePositive(amount, amountAt)...)
	}
	return errs
}

func validatePositive(amount resource.Quantity, at *field.Path) field.ErrorList {
	if amount.Sign() <= 0 {
		return field.ErrorList{field.Invalid(at, amount.String(), "must be greater than zero")}
	}
	return nil
}

func validatePersistentVolumeUpdate(_ context.Context, v, old *corev1.PersistentVolume) field.ErrorList {
	errs := validatePersistentVolume(v)
	now, was := v.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource
	if now.CSI != nil && was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil {
		csi := *now.CSI
		csi.ControllerExpandSecretRef = nil
		now.CSI = &csi
	}
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(specPath.Child("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+diff.Diff(apis.Shown{Value: was}, apis.Shown{Value: now})))
	}
	errs = append(errs, validation.ValidateImmutableField(v.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if old.Spec.NodeAffinity != nil && !equality.Semantic.DeepEqual(stableLabels(v.Spec.NodeAffinity), stableLabels(old.Spec.NodeAffinity)) {
		errs = append(errs, field.Invalid(field.NewPath("nodeAffinity"), v.Spec.NodeAffinity, "field is immutable, except for updating from beta label to GA"))
	}
	if old.Spec.VolumeAttributesClassName != nil && v.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(specPath.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

// stableLabels is the affinity with the labels that have left beta under their names
// of today.
func stableLabels(affinity *corev1.VolumeNodeAffinity) *corev1.VolumeNodeAffinity {
	if affinity == nil || affinity.Required == nil {
		return affinity
	}
	today := map[string]string{
		corev1.LabelFailureDomainBetaZone: corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
		corev1.LabelInstanceType: corev1.LabelInstanceTypeStable, "beta.kubernetes.io/os": corev1.LabelOSStable, "beta.kubernetes.io/arch": corev1.LabelArchStable,
	}
	affinity = affinity.DeepCopy()
	for i := range affinity.Required.NodeSelectorTerms {
		for j := range affinity.Required.NodeSelectorTerms[i].MatchExpressions {
			e := &affinity.Required.NodeSelectorTerms[i].MatchExpressions[j]
			if name, beta := today[e.Key]; beta {
				e.Key = name
			}
		}
	}
	return affinity
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
