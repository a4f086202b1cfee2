package resource

import (
	"context"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func deviceClasses() apis.Resource {
	onCreate, onUpdate := apis.CountGenerations(func(c, old *v1.DeviceClass) bool { return !equality.Semantic.DeepEqual(c.Spec, old.Spec) })
	rules := apis.TypedRules[*v1.DeviceClass]{
		PrepareForCreate: onCreate,
		PrepareForUpdate: onUpdate,
		Validate: func(_ context.Context, c *v1.DeviceClass) field.ErrorList {
			return append(apis.ValidateMeta(&c.ObjectMeta, false, anyName, metadata), validateClass(&c.Spec, nil)...)
		},
		ValidateUpdate: func(_ context.Context, c, old *v1.DeviceClass) field.ErrorList {
			return append(apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata), validateClass(&c.Spec, &old.Spec)...)
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
		PrepareForCreate: func(ctx context.Context, s *v1.ResourceSlice) {
			dropAlphaOfSlice(&s.Spec)
			onCreate(ctx, s)
		},
		PrepareForUpdate: func(ctx context.Context, s, old *v1.ResourceSlice) {
			dropAlphaOfSlice(&s.Spec)
			onUpdate(ctx, s, old)
		},
		Validate: func(_ context.Context, s *v1.ResourceSlice) field.ErrorList {
			errs := apis.ValidateMeta(&s.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateSlice(&s.Spec, nil, specPath)...)
		},
		ValidateUpdate: func(_ context.Context, s, old *v1.ResourceSlice) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validateSlice(&s.Spec, &old.Spec, specPath)...)
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

// anyName leaves the name to the generated validation.
func anyName(string, bool) []string { return nil }

// validateClass compiles only selectors that are new, in content or order.
func validateClass(spec, old *v1.DeviceClassSpec) field.ErrorList {
	var errs field.ErrorList
	if old == nil || !equality.Semantic.DeepEqual(spec.Selectors, old.Selectors) {
		errs = validateSelectors(spec.Selectors, specPath.Child("selectors"))
	}
	if len(spec.Config) <= v1.DeviceConfigMaxSize {
		for i, c := range spec.Config {
			errs = append(errs, validateConfig(c.DeviceConfiguration, specPath.Child("config").Index(i))...)
		}
	}
	return errs
}

// dropAlphaOfSlice clears the fields of alpha features, none of which is on.
func dropAlphaOfSlice(spec *v1.ResourceSliceSpec) {
	spec.PartitionTypeAttribute, spec.SkipNodeOperations = nil, nil
	for i := range spec.Devices {
		d := &spec.Devices[i]
		d.NodeAllocatableResources = nil
		for name, a := range d.Attributes {
			a.BoolValues, a.IntValues, a.StringValues, a.VersionValues = nil, nil, nil, nil
			d.Attributes[name] = a
		}
	}
}

func validateTaintRule(spec *v1.DeviceTaintRuleSpec) field.ErrorList {
	var errs field.ErrorList
	if s, at := spec.DeviceSelector, specPath.Child("deviceSelector"); s != nil {
		if s.Driver != nil {
			errs = append(errs, core.ValidateCSIDriverName(*s.Driver, at.Child("driver"))...)
		}
		if s.Pool != nil {
			errs = append(errs, validatePoolName(*s.Pool, at.Child("pool"))...)
		}
		if s.Device != nil {
			errs = append(errs, core.ValidateDNS1123Label(*s.Device, at.Child("device"))...)
		}
	}
	return append(errs, validateTaint(spec.Taint, specPath.Child("taint"))...)
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
		Validate: func(_ context.Context, r *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMeta(&r.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateTaintRule(&r.Spec)...)
		},
		ValidateUpdate: func(_ context.Context, r, old *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validateTaintRule(&r.Spec)...)
		},
		ValidateStatusUpdate: func(_ context.Context, r, old *v1.DeviceTaintRule) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, metavalidation.ValidateConditions(r.Status.Conditions, statusPath.Child("conditions"))...)
			if n := len(r.Status.Conditions); n > v1.DeviceTaintRuleStatusMaxConditions {
				errs = append(errs, field.TooMany(statusPath.Child("conditions"), n, v1.DeviceTaintRuleStatusMaxConditions))
			}
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
