package resource

import (
	"fmt"
	"math"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const maxCapacityOptions = 10

// validateCapacity checks how much of a device may be asked for; only a device that
// is allocated several times may say.
func validateCapacity(c v1.DeviceCapacity, shared bool, at *field.Path) field.ErrorList {
	p, at := c.RequestPolicy, at.Child("requestPolicy")
	switch {
	case p == nil:
		return nil
	case !shared:
		return field.ErrorList{field.Forbidden(at, "allowMultipleAllocations must be true")}
	case len(p.ValidValues) > 0 && p.ValidRange != nil:
		return field.ErrorList{field.Forbidden(at, `exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time`)}
	case len(p.ValidValues) > 0 && p.Default == nil:
		return field.ErrorList{field.Required(at.Child("default"), "required when validValues is defined")}
	case len(p.ValidValues) > 0:
		return validateOptions(p.ValidValues, *p.Default, c.Value, at.Child("validValues"))
	case p.ValidRange != nil && p.Default == nil:
		return field.ErrorList{field.Required(at.Child("default"), "required when validRange is defined")}
	case p.ValidRange != nil:
		return validateRange(*p.ValidRange, *p.Default, c.Value, at.Child("validRange"))
	}
	return nil
}

// validateOptions: options rise, none is above the whole, and the default is one.
func validateOptions(options []resource.Quantity, preset, whole resource.Quantity, at *field.Path) field.ErrorList {
	var errs, doubles field.ErrorList
	for i := 1; i < len(options); i++ {
		if options[i-1].Cmp(options[i]) > 0 {
			errs = append(errs, field.Invalid(at.Index(i), options[i].String(), "values must be sorted in ascending order"))
		}
	}
	if n := len(options); n > maxCapacityOptions {
		errs = append(errs, field.TooMany(at, n, maxCapacityOptions))
		return append(errs, field.Invalid(at, preset.String(), "default value is not valid according to the requestPolicy"))
	}
	found, seen := false, sets.New[string]()
	for i, option := range options {
		if option.Cmp(whole) > 0 {
			errs = append(errs, field.Invalid(at.Index(i), option.String(), fmt.Sprintf("option is larger than capacity value: %s", whole.String())))
		}
		found = found || option.Cmp(preset) == 0
		key := option.AsDec().String()
		if seen.Has(key) {
			doubles = append(doubles, field.Duplicate(at.Index(i), key))
		}
		seen.Insert(key)
	}
	errs = append(errs, doubles...)
	if !found {
		errs = append(errs, field.Invalid(at, preset.String(), "default value is not valid according to the requestPolicy"))
	}
	return errs
}

// validateRange: min, default and max rise within the whole, and are steps apart.
func validateRange(r v1.CapacityRequestPolicyRange, preset, whole resource.Quantity, at *field.Path) field.ErrorList {
	if r.Min == nil {
		return field.ErrorList{field.Required(at.Child("min"), "required when validRange is defined")}
	}
	var errs field.ErrorList
	say := func(when bool, name string, value resource.Quantity, text string, limit resource.Quantity) {
		if when {
			errs = append(errs, field.Invalid(at.Child(name), value.String(), fmt.Sprintf("%s: %s", text, limit.String())))
		}
	}
	say(r.Min.Cmp(whole) > 0, "min", *r.Min, "min is larger than capacity value", whole)
	say(preset.Cmp(*r.Min) < 0, "default", preset, "default is less than min", *r.Min)
	if r.Max != nil {
		say(r.Min.Cmp(*r.Max) > 0, "max", *r.Min, "min is larger than max", *r.Max)
		say(r.Max.Cmp(whole) > 0, "max", *r.Max, "max is larger than capacity value", whole)
		say(preset.Cmp(*r.Max) > 0, "default", preset, "default is more than max", *r.Max)
	}
	if fractional := anyFractional(r, preset); fractional {
		if bad := milliErrors(r, preset, at); len(bad) > 0 {
			return append(errs, bad...)
		}
	}
	if r.Step == nil {
		return errs
	}
	return append(errs, validateStep(r, preset, whole, at)...)
}

func validateStep(r v1.CapacityRequestPolicyRange, preset, whole resource.Quantity, at *field.Path) field.ErrorList {
	stepAt := at.Child("step")
	if r.Step.Sign() <= 0 {
		return field.ErrorList{field.Invalid(stepAt, r.Step.String(), "must be greater than zero")}
	}
	var errs field.ErrorList
	first := r.Min.DeepCopy()
	first.Add(*r.Step)
	if first.Cmp(whole) > 0 {
		errs = append(errs, field.Invalid(stepAt, r.Step.String(), fmt.Sprintf("one step %s is larger than capacity value: %s", first.String(), whole.String())))
	}
	number := (*resource.Quantity).Value
	if anyFractional(r, preset) {
		number = (*resource.Quantity).MilliValue
	} else if bad := rangeErrors(r, preset, at); len(bad) > 0 {
		return append(errs, bad...)
	}
	for _, q := range []*resource.Quantity{&preset, r.Max} {
		if q != nil && (number(q)-number(r.Min))%number(r.Step) != 0 {
			errs = append(errs, field.Invalid(stepAt, q.String(), fmt.Sprintf("value is not a multiple of a given step (%s) from (%s)", r.Step.String(), r.Min.String())))
		}
	}
	return errs
}

// named lists the quantities of a range and its default, those that are set.
func named(r v1.CapacityRequestPolicyRange, preset *resource.Quantity, f func(name string, q *resource.Quantity)) {
	f("default", preset)
	f("min", r.Min)
	if r.Max != nil {
		f("max", r.Max)
	}
	if r.Step != nil {
		f("step", r.Step)
	}
}

func anyFractional(r v1.CapacityRequestPolicyRange, preset resource.Quantity) bool {
	found := false
	named(r, &preset, func(_ string, q *resource.Quantity) {
		whole := q.DeepCopy()
		found = found || !whole.RoundUp(0)
	})
	return found
}

// milliErrors names what cannot be counted in thousandths.
func milliErrors(r v1.CapacityRequestPolicyRange, preset resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	named(r, &preset, func(name string, q *resource.Quantity) {
		if q.Cmp(*resource.NewMilliQuantity(q.MilliValue(), q.Format)) != 0 {
			errs = append(errs, field.Invalid(at.Child(name), q.String(), "value cannot be represented as a milli value"))
		}
	})
	return errs
}

// rangeErrors names what is no number of 0 to 2^63-1, with which steps are counted.
func rangeErrors(r v1.CapacityRequestPolicyRange, preset resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	named(r, &preset, func(name string, q *resource.Quantity) {
		switch {
		case q.Sign() < 0:
			errs = append(errs, field.Invalid(at.Child(name), q.String(), "must be greater than or equal to 0"))
		case q.CmpInt64(math.MaxInt64) > 0:
			errs = append(errs, field.Invalid(at.Child(name), q.String(), "must not be larger than 9223372036854775807"))
		}
	})
	return errs
}
