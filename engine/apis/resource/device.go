package resource

import (
	"context"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func deviceClasses() apis.Resource {
	onCreate, onUpdate := apis.CountGenerations(func(c, old *v1.DeviceClass) bool { return !equality.Semantic.DeepEqual(c.Spec, old.Spec) })
	rules := apis.TypedRules[*v1.DeviceClass]{
		PrepareForCreate: onCreate,
		PrepareForUpdate: onUpdate,
		Validate: func(ctx context.Context, c *v1.DeviceClass) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return errs
		},
		ValidateUpdate: func(ctx context.Context, c, old *v1.DeviceClass) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
			return errs
		},
	}.Rules()
	rules.DeclaredOptions = options
	return apis.Resource{
		GVK: kind("DeviceClass"), Plural: "deviceclasses", Singular: "deviceclass",
		New:            func() runtime.Object { return &v1.DeviceClass{} },
		NewList:        func() runtime.Object { return &v1.DeviceClassList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        []apis.Column{apis.NameColumn(), apis.AgeColumn()},
	}
}

func slices() apis.Resource {
	onCreate, onUpdate := apis.CountGenerations(func(s, old *v1.ResourceSlice) bool { return !equality.Semantic.DeepEqual(s.Spec, old.Spec) })
	rules := apis.TypedRules[*v1.ResourceSlice]{
		Default: func(s *v1.ResourceSlice) {
			for i := range s.Spec.Devices {
				stampTaints(s.Spec.Devices[i].Taints)
			}
		},
		PrepareForCreate: onCreate,
		PrepareForUpdate: onUpdate,
		Validate: func(ctx context.Context, s *v1.ResourceSlice) field.ErrorList {
			errs := apis.ValidateMeta(&s.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			errs = append(errs, validatePlace(&s.Spec)...)
			return errs
		},
		ValidateUpdate: func(ctx context.Context, s, old *v1.ResourceSlice) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, validatePlace(&s.Spec)...)
			errs = append(errs, validation.ValidateImmutableField(s.Spec.Driver, old.Spec.Driver, specPath.Child("driver"))...)
			errs = append(errs, validation.ValidateImmutableField(s.Spec.Pool.Name, old.Spec.Pool.Name, specPath.Child("pool", "name"))...)
			return append(errs, validation.ValidateImmutableField(s.Spec.NodeName, old.Spec.NodeName, specPath.Child("nodeName"))...)
		},
	}.Rules()
	rules.DeclaredOptions = options
	return apis.Resource{
		GVK: kind("ResourceSlice"), Plural: "resourceslices", Singular: "resourceslice",
		New:            func() runtime.Object { return &v1.ResourceSlice{} },
		NewList:        func() runtime.Object { return &v1.ResourceSliceList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Node", "The node the devices are on.", func(s *v1.ResourceSlice) string { return apis.OrUnset(s.Spec.NodeName) }),
			apis.Text("Driver", "The driver of the devices.", func(s *v1.ResourceSlice) string { return s.Spec.Driver }),
			apis.Text("Pool", "The pool the slice belongs to.", func(s *v1.ResourceSlice) string { return s.Spec.Pool.Name }),
			apis.AgeColumn(),
		},
		Fields: func(obj runtime.Object) fields.Set {
			s := obj.(*v1.ResourceSlice)
			return fields.Set{"spec.nodeName": ptr.Deref(s.Spec.NodeName, ""), "spec.driver": s.Spec.Driver}
		},
	}
}

// validatePlace asks for exactly one way to say where the devices are.
func validatePlace(spec *v1.ResourceSliceSpec) field.ErrorList {
	ways := 0
	for _, set := range []bool{spec.NodeName != nil, spec.NodeSelector != nil, ptr.Deref(spec.AllNodes, false), ptr.Deref(spec.PerDeviceNodeSelection, false)} {
		if set {
			ways++
		}
	}
	switch {
	case ways == 0:
		return field.ErrorList{field.Required(specPath, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required")}
	case ways > 1:
		return field.ErrorList{field.Invalid(specPath, field.OmitValueType{}, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set")}
	}
	return nil
}

// stampTaints dates taints that do not say when they were added.
func stampTaints(taints []v1.DeviceTaint) {
	for i := range taints {
		if taints[i].TimeAdded == nil {
			now := metav1.Now().Rfc3339Copy()
			taints[i].TimeAdded = &now
		}
	}
}

func deviceTaintRules() apis.Resource {
	parts := apis.Parts[*v1.DeviceTaintRule, v1.DeviceTaintRuleSpec, v1.DeviceTaintRuleStatus]{
		Spec:   func(r *v1.DeviceTaintRule) *v1.DeviceTaintRuleSpec { return &r.Spec },
		Status: func(r *v1.DeviceTaintRule) *v1.DeviceTaintRuleStatus { return &r.Status },
	}
	rules := apis.TypedRules[*v1.DeviceTaintRule]{
		Default: func(r *v1.DeviceTaintRule) {
			if r.Spec.Taint.TimeAdded == nil {
				now := metav1.Now().Rfc3339Copy()
				r.Spec.Taint.TimeAdded = &now
			}
		},
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(ctx context.Context, r *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMeta(&r.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return errs
		},
		ValidateUpdate: func(ctx context.Context, r, old *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			return errs
		},
		ValidateStatusUpdate: func(ctx context.Context, r, old *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			return errs
		},
	}.Rules()
	rules.DeclaredOptions = options
	return apis.Resource{
		GVK: kind("DeviceTaintRule"), Plural: "devicetaintrules", Singular: "devicetaintrule",
		New:     func() runtime.Object { return &v1.DeviceTaintRule{} },
		NewList: func() runtime.Object { return &v1.DeviceTaintRuleList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Key", "The key of the taint.", func(r *v1.DeviceTaintRule) string { return r.Spec.Taint.Key }),
			apis.Text("Value", "The value of the taint.", func(r *v1.DeviceTaintRule) string { return r.Spec.Taint.Value }),
			apis.Text("Effect", "What the taint does to pods.", func(r *v1.DeviceTaintRule) string { return string(r.Spec.Taint.Effect) }),
			apis.Text("TimeAdded", "Time since the taint was added.", func(r *v1.DeviceTaintRule) string {
				if r.Spec.Taint.TimeAdded == nil {
					return ""
				}
				return apis.Since(*r.Spec.Taint.TimeAdded)
			}),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}
