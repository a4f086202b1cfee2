package resource

import (
	"fmt"
	"regexp"
	"strings"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"
)

// validateSlice checks the spec of a slice; old is nil on create.
func validateSlice(spec, old *v1.ResourceSliceSpec, at *field.Path) field.ErrorList {
	errs := core.ValidateCSIDriverName(spec.Driver, at.Child("driver"))
	errs = append(errs, validatePoolName(spec.Pool.Name, at.Child("pool", "name"))...)
	if n := spec.Pool.ResourceSliceCount; n <= 0 {
		errs = append(errs, field.Invalid(at.Child("pool", "resourceSliceCount"), n, "must be greater than zero"))
	}
	if n := spec.Pool.Generation; n < 0 {
		errs = append(errs, field.Invalid(at.Child("pool", "generation"), n, "must be greater than or equal to zero"))
	}
	if old != nil {
		errs = append(errs, validation.ValidateImmutableField(spec.Pool.Name, old.Pool.Name, at.Child("pool", "name"))...)
		errs = append(errs, validation.ValidateImmutableField(spec.Driver, old.Driver, at.Child("driver"))...)
		errs = append(errs, validation.ValidateImmutableField(spec.NodeName, old.NodeName, at.Child("nodeName"))...)
	}
	errs = append(errs, validatePlace(spec, at)...)
	if spec.SharedCounters != nil && spec.Devices != nil {
		errs = append(errs, field.Invalid(at, "", "only one of `sharedCounters` or `devices` is allowed"))
	}
	return append(errs, validateSliceDevices(spec, old, at.Child("devices"))...)
}

// validatePlace asks for exactly one way to say where the devices are.
func validatePlace(spec *v1.ResourceSliceSpec, at *field.Path) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	ways, errs := placeOf(spec.NodeName, spec.NodeSelector, spec.AllNodes, "must be either unset or set to a non-empty string", at)
	if s := spec.NodeSelector; s != nil && len(s.NodeSelectorTerms) != 1 {
		errs = append(errs, field.Invalid(at.Child("nodeSelector", "nodeSelectorTerms"), s.NodeSelectorTerms, "must have exactly one node selector term"))
	}
	if each := spec.PerDeviceNodeSelection; each != nil {
		if *each {
			ways = append(ways, "`perDeviceNodeSelection`")
		} else {
			errs = append(errs, field.Invalid(at.Child("perDeviceNodeSelection"), false, "must be either unset or set to true"))
		}
	}
	switch {
	case len(ways) == 0:
		errs = append(errs, field.Required(at, one))
	case len(ways) > 1:
		errs = append(errs, field.Invalid(at, "{"+strings.Join(ways, ", ")+"}", one+", but multiple fields are set"))
	}
	return errs
}

func validateSliceDevices(spec, old *v1.ResourceSliceSpec, at *field.Path) field.ErrorList {
	limit := v1.ResourceSliceMaxDevices
	before := map[string]*v1.Device{}
	if old != nil {
		for i := range old.Devices {
			before[old.Devices[i].Name] = &old.Devices[i]
		}
	}
	for i := range spec.Devices {
		if len(spec.Devices[i].Taints) > 0 || len(spec.Devices[i].ConsumesCounters) > 0 {
			limit = v1.ResourceSliceMaxDevicesWithAdvancedFeatures
		}
	}
	if n := len(spec.Devices); n > limit {
		return field.ErrorList{field.TooMany(at, n, limit)}
	}
	var errs, doubles field.ErrorList
	names := sets.New[string]()
	for i := range spec.Devices {
		d := &spec.Devices[i]
		errs = append(errs, validateDevice(d, before[d.Name], ptr.Deref(spec.PerDeviceNodeSelection, false), at.Index(i))...)
		if names.Has(d.Name) {
			doubles = append(doubles, field.Duplicate(at.Index(i), d.Name))
		}
		names.Insert(d.Name)
	}
	return append(errs, doubles...)
}

func validateDevice(d, old *v1.Device, placed bool, at *field.Path) field.ErrorList {
	errs := core.ValidateDNS1123Label(d.Name, at.Child("name"))
	if n := len(d.Attributes) + len(d.Capacity); n > v1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", v1.ResourceSliceMaxAttributesAndCapacitiesPerDevice)))
	}
	for _, name := range sets.List(sets.KeySet(d.Attributes)) {
		errs = append(errs, validateQualifiedName(name, at.Child("attributes"))...)
		errs = append(errs, validateAttribute(d.Attributes[name], at.Child("attributes").Key(string(name)))...)
	}
	if old == nil || !equality.Semantic.DeepEqual(old.Capacity, d.Capacity) {
		for _, name := range sets.List(sets.KeySet(d.Capacity)) {
			errs = append(errs, validateQualifiedName(name, at.Child("capacity"))...)
			errs = append(errs, validateCapacity(d.Capacity[name], ptr.Deref(d.AllowMultipleAllocations, false), at.Child("capacity").Key(string(name)))...)
		}
	}
	if old == nil || !equality.Semantic.DeepEqual(old.Taints, d.Taints) {
		if n := len(d.Taints); n > v1.DeviceTaintsMaxLength {
			errs = append(errs, field.TooMany(at.Child("taints"), n, v1.DeviceTaintsMaxLength))
		} else {
			for i, taint := range d.Taints {
				errs = append(errs, validateTaint(taint, at.Child("taints").Index(i))...)
			}
		}
	}
	for i, c := range d.ConsumesCounters {
		if n := len(c.Counters); n > v1.ResourceSliceMaxCountersPerDeviceCounterConsumption {
			errs = append(errs, field.TooMany(at.Child("consumesCounters").Index(i).Child("counters"), n, v1.ResourceSliceMaxCountersPerDeviceCounterConsumption))
		}
	}
	errs = append(errs, validateDevicePlace(d, placed, at)...)
	return append(errs, validateBinding(d.BindingConditions, d.BindingFailureConditions, at)...)
}

// validateDevicePlace: a device says where it is if its slice leaves that to devices.
func validateDevicePlace(d *v1.Device, placed bool, at *field.Path) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
	if !placed {
		if d.NodeName != nil || d.NodeSelector != nil || d.AllNodes != nil {
			return field.ErrorList{field.Invalid(at, nil, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")}
		}
		return nil
	}
	ways, errs := placeOf(d.NodeName, d.NodeSelector, d.AllNodes, "must not be empty", at)
	switch {
	case len(ways) == 0:
		errs = append(errs, field.Required(at, one))
	case len(ways) > 1:
		errs = append(errs, field.Invalid(at, "{"+strings.Join(ways, ", ")+"}", one))
	}
	return errs
}

var version = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?` +
	`(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)

func validateAttribute(a v1.DeviceAttribute, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s := a.StringValue; s != nil && len(*s) > v1.DeviceAttributeMaxValueLength {
		errs = append(errs, field.TooLong(at.Child("string"), "", v1.DeviceAttributeMaxValueLength))
	}
	if v := a.VersionValue; v != nil {
		if !version.MatchString(*v) {
			errs = append(errs, field.Invalid(at.Child("version"), *v, "must be a string compatible with semver.org spec 2.0.0"))
		}
		if len(*v) > v1.DeviceAttributeMaxValueLength {
			errs = append(errs, field.TooLong(at.Child("version"), "", v1.DeviceAttributeMaxValueLength))
		}
	}
	return errs
}
