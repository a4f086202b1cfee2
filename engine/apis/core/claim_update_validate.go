package core

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func prepareClaimCreate(_ context.Context, c *corev1.PersistentVolumeClaim) {
	c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
	dropOtherSource(&c.Spec)
	normalizeDataSources(&c.Spec)
}

func prepareClaimUpdate(_ context.Context, c, old *corev1.PersistentVolumeClaim) {
	c.Status = old.Status
	if old.Spec.DataSource == nil && old.Spec.DataSourceRef == nil {
		dropOtherSource(&c.Spec)
	}
	normalizeDataSources(&c.Spec)
}

// dropOtherSource forgets a data source that is neither a claim nor a snapshot: those
// can be named by dataSourceRef alone.
func dropOtherSource(spec *corev1.PersistentVolumeClaimSpec) {
	if ds := spec.DataSource; ds != nil {
		group := ptr.Deref(ds.APIGroup, "")
		if !(ds.Kind == "PersistentVolumeClaim" && group == "" || ds.Kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io") {
			spec.DataSource = nil
		}
	}
}

// normalizeDataSources keeps the two ways to name the source of a claim equal.
func normalizeDataSources(spec *corev1.PersistentVolumeClaimSpec) {
	ds, ref := spec.DataSource, spec.DataSourceRef
	switch {
	case ds != nil && ref == nil:
		spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: ds.APIGroup, Kind: ds.Kind, Name: ds.Name}
	case ds == nil && ref != nil && ptr.Deref(ref.Namespace, "") == "":
		spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}
	}
}

func validateClaim(c *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := apis.ValidateMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	return append(errs, ValidateClaimSpec(&c.Spec, specPath)...)
}

// validateClaimUpdate lets a claim be bound, grow, and get a class it was
// created without; the rest of its spec stays.
func validateClaimUpdate(_ context.Context, c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateClaim(c)...)
	rest, before := c.Spec.DeepCopy(), old.Spec.DeepCopy()
	if before.VolumeName == "" {
		before.VolumeName = rest.VolumeName
	}
	if before.StorageClassName == nil && old.Spec.VolumeName == "" {
		rest.StorageClassName = nil
	}
	if old.Status.Phase == corev1.ClaimBound {
		if size, ok := before.Resources.Requests[corev1.ResourceStorage]; ok && rest.Resources.Requests != nil {
			rest.Resources.Requests[corev1.ResourceStorage] = size
		}
	}
	if old.Status.Phase == corev1.ClaimBound {
		rest.VolumeAttributesClassName = before.VolumeAttributesClassName
	}
	if !equality.Semantic.DeepEqual(rest, before) {
		errs = append(errs, field.Forbidden(specPath, fmt.Sprintf("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n%v", diff.Diff(apis.Shown{Value: before}, apis.Shown{Value: rest}))))
	}
	storageAt := specPath.Child("resources", "requests", "storage")
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if capacity := old.Status.Capacity[corev1.ResourceStorage]; now.Cmp(was) < 0 && now.Cmp(capacity) <= 0 {
		errs = append(errs, field.Forbidden(storageAt, "field can not be less than status.capacity"))
	}
	return append(errs, validation.ValidateImmutableField(c.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
}

func validateClaimStatusUpdate(_ context.Context, c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	if c.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	if len(c.Spec.AccessModes) == 0 {
		errs = append(errs, field.Required(field.NewPath("Spec", "accessModes"), ""))
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceStorage} {
		if q, ok := c.Status.Capacity[name]; ok {
			errs = append(errs, validateAmount(name, q, field.NewPath("status", "capacity").Key(string(name)))...)
		}
	}
	return errs
}

func claimWarnings(_ context.Context, c *corev1.PersistentVolumeClaim) []string {
	var out []string
	if _, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		out = append(out, fmt.Sprintf("metadata.annotations[%s]: deprecated since v1.8; use \"storageClassName\" attribute instead", corev1.BetaStorageClassAnnotation))
	}
	if q := c.Spec.Resources.Requests[corev1.ResourceStorage]; q.MilliValue()%1000 != 0 {
		out = append(out, fmt.Sprintf("spec.resources.requests[storage]: fractional byte value %q is invalid, must be an integer", q.String()))
	}
	return out
}
