package storage

import (
	"context"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func csiDrivers() apis.Resource {
	rules := apis.TypedRules[*storagev1.CSIDriver]{
		Default: defaultCSIDriver,
		PrepareForUpdate: func(_ context.Context, d, old *storagev1.CSIDriver) {
			if !equality.Semantic.DeepEqual(d.Spec.TokenRequests, old.Spec.TokenRequests) ||
				!equality.Semantic.DeepEqual(d.Spec.RequiresRepublish, old.Spec.RequiresRepublish) ||
				!equality.Semantic.DeepEqual(d.Spec.SELinuxMount, old.Spec.SELinuxMount) {
				d.Generation = old.Generation + 1
			}
		},
		PrepareForCreate: func(context.Context, *storagev1.CSIDriver) {}, // keeps the generation given
		Validate:         func(_ context.Context, d *storagev1.CSIDriver) field.ErrorList { return validateCSIDriver(d) },
		ValidateUpdate: func(_ context.Context, d, old *storagev1.CSIDriver) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, validateCSIDriverSpec(&d.Spec)...)
			errs = append(errs, validation.ValidateImmutableField(d.Spec.AttachRequired, old.Spec.AttachRequired, specPath.Child("attachedRequired"))...)
			return append(errs, validation.ValidateImmutableField(d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, specPath.Child("volumeLifecycleModes"))...)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("CSIDriver"), Plural: "csidrivers", Singular: "csidriver",
		New:            func() runtime.Object { return &storagev1.CSIDriver{} },
		NewList:        func() runtime.Object { return &storagev1.CSIDriverList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Flag("AttachRequired", "Whether volumes are attached before they are mounted.", func(d *storagev1.CSIDriver) bool { return ptr.Deref(d.Spec.AttachRequired, true) }),
			apis.Flag("PodInfoOnMount", "Whether the driver learns of the pod.", func(d *storagev1.CSIDriver) bool { return ptr.Deref(d.Spec.PodInfoOnMount, false) }),
			apis.Flag("StorageCapacity", "Whether scheduling considers capacity.", func(d *storagev1.CSIDriver) bool { return ptr.Deref(d.Spec.StorageCapacity, false) }),
			apis.Text("TokenRequests", "The audiences of tokens given to the driver.", tokenAudiences),
			apis.Flag("RequiresRepublish", "Whether mounts are renewed.", func(d *storagev1.CSIDriver) bool { return ptr.Deref(d.Spec.RequiresRepublish, false) }),
			apis.Text("Modes", "The life cycles of volumes.", func(d *storagev1.CSIDriver) string {
				var parts []string
				for _, m := range d.Spec.VolumeLifecycleModes {
					parts = append(parts, string(m))
				}
				return apis.OrNone(strings.Join(parts, ","))
			}),
			apis.AgeColumn(),
		},
	}
}

func tokenAudiences(d *storagev1.CSIDriver) string {
	var parts []string
	for _, t := range d.Spec.TokenRequests {
		parts = append(parts, t.Audience)
	}
	return apis.OrElse(strings.Join(parts, ","), "<unset>")
}

func defaultCSIDriver(d *storagev1.CSIDriver) {
	s := &d.Spec
	setDefaultPtr(&s.AttachRequired, true)
	setDefaultPtr(&s.PodInfoOnMount, false)
	setDefaultPtr(&s.StorageCapacity, false)
	setDefaultPtr(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	setDefaultPtr(&s.RequiresRepublish, false)
	setDefaultPtr(&s.SELinuxMount, false)
	setDefaultPtr(&s.PreventPodSchedulingIfMissing, false)
	if len(s.VolumeLifecycleModes) == 0 {
		s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
}

func validateCSIDriver(d *storagev1.CSIDriver) field.ErrorList {
	errs := apis.ValidateMeta(&d.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	return append(errs, validateCSIDriverSpec(&d.Spec)...)
}

func validateCSIDriverSpec(s *storagev1.CSIDriverSpec) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name  string
		unset bool
	}{{"attachedRequired", s.AttachRequired == nil}, {"podInfoOnMount", s.PodInfoOnMount == nil}, {"storageCapacity", s.StorageCapacity == nil}, {"fsGroupPolicy", s.FSGroupPolicy == nil}} {
		if f.unset {
			errs = append(errs, field.Required(specPath.Child(f.name), ""))
		}
	}
	policies := []storagev1.FSGroupPolicy{storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy}
	if p := s.FSGroupPolicy; p != nil && !slices.Contains(policies, *p) {
		errs = append(errs, field.NotSupported(specPath.Child("fsGroupPolicy"), *p, policies))
	}
	const least = 10 * 60
	audiences := sets.New[string]()
	for i, t := range s.TokenRequests {
		at := specPath.Child("tokenRequests").Index(i)
		if audiences.Has(t.Audience) {
			errs = append(errs, field.Duplicate(at.Child("audience"), t.Audience))
		}
		audiences.Insert(t.Audience)
		if e := t.ExpirationSeconds; e != nil && *e < least {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
		} else if e != nil && *e > 1<<32 {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	modes := []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral}
	for _, m := range s.VolumeLifecycleModes {
		if !slices.Contains(modes, m) {
			errs = append(errs, field.NotSupported(specPath.Child("volumeLifecycleModes"), m, modes))
		}
	}
	return errs
}

func csiNodes() apis.Resource {
	parts := apis.Parts[*storagev1.CSINode, storagev1.CSINodeSpec, storagev1.CSINodeStatus]{
		Spec:         func(n *storagev1.CSINode) *storagev1.CSINodeSpec { return &n.Spec },
		Status:       func(n *storagev1.CSINode) *storagev1.CSINodeStatus { return &n.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*storagev1.CSINode]{
		PrepareForCreate: parts.Create,
		PrepareForUpdate: parts.Update,
		PrepareForStatusUpdate: func(ctx context.Context, n, old *storagev1.CSINode) {
			parts.UpdateStatus(ctx, n, old)
			metav1.ResetObjectMetaForStatus(&n.ObjectMeta, &old.ObjectMeta)
			// Volume health is behind a feature that is off by default.
			if len(old.Status.StorageHealth) == 0 {
				n.Status.StorageHealth = nil
			}
		},
		Validate: func(_ context.Context, n *storagev1.CSINode) field.ErrorList { return validateCSINode(n) },
		ValidateUpdate: func(_ context.Context, n, old *storagev1.CSINode) field.ErrorList {
			errs := validateCSINode(n)
			for i := range n.Spec.Drivers {
				for j := range old.Spec.Drivers {
					now, was := n.Spec.Drivers[i], old.Spec.Drivers[j]
					if now.Name != was.Name {
						continue
					}
					now.Allocatable, was.Allocatable = nil, nil
					if !equality.Semantic.DeepEqual(now, was) {
						errs = append(errs, field.Invalid(field.NewPath("CSINodeDriver"), now, "field is immutable"))
					}
				}
			}
			return errs
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("CSINode"), Plural: "csinodes", Singular: "csinode", HasStatus: true,
		New:            func() runtime.Object { return &storagev1.CSINode{} },
		NewList:        func() runtime.Object { return &storagev1.CSINodeList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Drivers", "The drivers on the node.", func(n *storagev1.CSINode) int64 { return int64(len(n.Spec.Drivers)) }),
			apis.AgeColumn(),
		},
	}
}

func validateCSINode(n *storagev1.CSINode) field.ErrorList {
	errs := apis.ValidateMeta(&n.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	names := sets.New[string]()
	for i := range n.Spec.Drivers {
		d, at := &n.Spec.Drivers[i], specPath.Child("drivers").Index(i)
		errs = append(errs, core.ValidateCSIDriverName(d.Name, at.Child("name"))...)
		if d.NodeID == "" {
			errs = append(errs, field.Required(at.Child("nodeID"), ""))
		} else if len(d.NodeID) > 256 {
			errs = append(errs, field.Invalid(at.Child("nodeID"), d.NodeID, "must be 256 characters or less"))
		}
		if a := d.Allocatable; a != nil && a.Count != nil && *a.Count < 0 {
			errs = append(errs, field.Invalid(at.Child("allocatable", "count"), *a.Count, "must be greater than or equal to 0"))
		}
		if names.Has(d.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), d.Name))
		}
		names.Insert(d.Name)
	}
	return errs
}

func csiStorageCapacities() apis.Resource {
	check := func(c *storagev1.CSIStorageCapacity) field.ErrorList {
		errs := apis.ValidateMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
		for _, msg := range validation.NameIsDNSSubdomain(c.StorageClassName, false) {
			errs = append(errs, field.Invalid(field.NewPath("storageClassName"), c.StorageClassName, msg))
		}
		if c.Capacity != nil && c.Capacity.Sign() < 0 {
			errs = append(errs, field.Invalid(field.NewPath("capacity"), c.Capacity.String(), "must be greater than or equal to 0"))
		}
		if c.MaximumVolumeSize != nil && c.MaximumVolumeSize.Sign() < 0 {
			errs = append(errs, field.Invalid(field.NewPath("maximumVolumeSize"), c.MaximumVolumeSize.String(), "must be greater than or equal to 0"))
		}
		return append(errs, metavalidation.ValidateLabelSelector(c.NodeTopology, metavalidation.LabelSelectorValidationOptions{}, field.NewPath("nodeTopology"))...)
	}
	rules := apis.TypedRules[*storagev1.CSIStorageCapacity]{
		Validate: func(_ context.Context, c *storagev1.CSIStorageCapacity) field.ErrorList { return check(c) },
		ValidateUpdate: func(_ context.Context, c, old *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := check(c)
			errs = append(errs, validation.ValidateImmutableField(c.NodeTopology, old.NodeTopology, field.NewPath("nodeTopology"))...)
			return append(errs, validation.ValidateImmutableField(c.StorageClassName, old.StorageClassName, field.NewPath("storageClassName"))...)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("CSIStorageCapacity"), Plural: "csistoragecapacities", Singular: "csistoragecapacity", Namespaced: true,
		New:     func() runtime.Object { return &storagev1.CSIStorageCapacity{} },
		NewList: func() runtime.Object { return &storagev1.CSIStorageCapacityList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.CreatedColumn(),
		},
	}
}

func volumeAttachments() apis.Resource {
	parts := apis.Parts[*storagev1.VolumeAttachment, storagev1.VolumeAttachmentSpec, storagev1.VolumeAttachmentStatus]{
		Spec:         func(a *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentSpec { return &a.Spec },
		Status:       func(a *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentStatus { return &a.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*storagev1.VolumeAttachment]{
		PrepareForCreate: parts.Create,
		PrepareForUpdate: parts.Update,
		PrepareForStatusUpdate: func(ctx context.Context, a, old *storagev1.VolumeAttachment) {
			parts.UpdateStatus(ctx, a, old)
			metav1.ResetObjectMetaForStatus(&a.ObjectMeta, &old.ObjectMeta)
		},
		Validate: func(_ context.Context, a *storagev1.VolumeAttachment) field.ErrorList { return validateAttachment(a) },
		ValidateUpdate: func(_ context.Context, a, old *storagev1.VolumeAttachment) field.ErrorList {
			errs := validateAttachment(a)
			if !equality.Semantic.DeepEqual(a.Spec, old.Spec) {
				errs = append(errs, field.Invalid(specPath, a.Spec, "field is immutable"))
			}
			return errs
		},
		ValidateStatusUpdate: func(_ context.Context, a, _ *storagev1.VolumeAttachment) field.ErrorList {
			return validateAttachment(a)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("VolumeAttachment"), Plural: "volumeattachments", Singular: "volumeattachment",
		New:            func() runtime.Object { return &storagev1.VolumeAttachment{} },
		NewList:        func() runtime.Object { return &storagev1.VolumeAttachmentList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Attacher", "The driver that attaches.", func(a *storagev1.VolumeAttachment) string { return a.Spec.Attacher }).AsName(),
			apis.Text("PV", "The volume.", func(a *storagev1.VolumeAttachment) string { return ptr.Deref(a.Spec.Source.PersistentVolumeName, "") }),
			apis.Text("Node", "The node.", func(a *storagev1.VolumeAttachment) string { return a.Spec.NodeName }),
			apis.Flag("Attached", "Whether it is attached.", func(a *storagev1.VolumeAttachment) bool { return a.Status.Attached }),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func validateAttachment(a *storagev1.VolumeAttachment) field.ErrorList {
	errs := apis.ValidateMeta(&a.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, core.ValidateCSIDriverName(a.Spec.Attacher, specPath.Child("attacher"))...)
	source := specPath.Child("source")
	switch {
	case a.Spec.Source.InlineVolumeSpec == nil && ptr.Deref(a.Spec.Source.PersistentVolumeName, "") == "":
		errs = append(errs, field.Required(source, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
	case a.Spec.Source.InlineVolumeSpec != nil && a.Spec.Source.PersistentVolumeName != nil:
		errs = append(errs, field.Forbidden(source, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
	}
	for _, msg := range validation.NameIsDNSSubdomain(a.Spec.NodeName, false) {
		errs = append(errs, field.Invalid(specPath.Child("nodeName"), a.Spec.NodeName, msg))
	}
	return errs
}
