package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateLimitRange(l *corev1.LimitRange) field.ErrorList {
	errs := apis.ValidateMeta(&l.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	seen := sets.New[corev1.LimitType]()
	for i := range l.Spec.Limits {
		item, at := &l.Spec.Limits[i], specPath.Child("limits").Index(i)
		errs = append(errs, validateLimit(item, at)...)
		if seen.Has(item.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), item.Type))
		}
		seen.Insert(item.Type)
	}
	return errs
}

func validateLimit(l *corev1.LimitRangeItem, at *field.Path) field.ErrorList {
	errs := invalidEach(at.Child("type"), l.Type, limitTypeMessages(l.Type))
	if l.Type == corev1.LimitTypePod {
		if len(l.Default) > 0 {
			errs = append(errs, field.Forbidden(at.Child("default"), "may not be specified when `type` is 'Pod'"))
		}
		if len(l.DefaultRequest) > 0 {
			errs = append(errs, field.Forbidden(at.Child("defaultRequest"), "may not be specified when `type` is 'Pod'"))
		}
	}
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, least := l.Min[corev1.ResourceStorage]
		_, most := l.Max[corev1.ResourceStorage]
		if !least && !most {
			errs = append(errs, field.Required(at.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	for _, part := range []struct {
		name string
		list corev1.ResourceList
	}{{"max", l.Max}, {"min", l.Min}, {"default", l.Default}, {"defaultRequest", l.DefaultRequest}, {"maxLimitRequestRatio", l.MaxLimitRequestRatio}} {
		for _, name := range slices.Sorted(maps.Keys(part.list)) {
			keyAt := at.Child(part.name).Key(string(name))
			switch {
			case l.Type == corev1.LimitTypePod && (part.name == "default" || part.name == "defaultRequest"):
				// Forbidden as a whole.
			case l.Type == corev1.LimitTypePod, l.Type == corev1.LimitTypeContainer:
				errs = append(errs, ValidateContainerResourceName(name, keyAt)...)
			default:
				errs = append(errs, validateResourceName(name, keyAt)...)
			}
		}
	}
	return append(errs, validateLimitOrder(l, at)...)
}

func limitTypeMessages(t corev1.LimitType) []string {
	if strings.Contains(string(t), "/") {
		return utilvalidation.IsQualifiedName(string(t))
	}
	if bad := utilvalidation.IsQualifiedName(string(t)); len(bad) > 0 {
		return bad
	}
	switch t {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	return []string{"must be a standard limit type or fully qualified"}
}

// validateLimitOrder checks min <= defaultRequest <= default <= max.
func validateLimitOrder(l *corev1.LimitRangeItem, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	// The error is at the field blamed; the value it shows is the lower one, or else the
	// higher: for default upstream shows the bound.
	order := func(low, high corev1.ResourceList, blame string, showHigh bool, text func(low, high string) string) {
		for _, name := range slices.Sorted(maps.Keys(low)) {
			a := low[name]
			b, ok := high[name]
			if ok && a.Cmp(b) > 0 {
				value := a
				if showHigh {
					value = b
				}
				errs = append(errs, field.Invalid(at.Child(blame).Key(string(name)), value.String(), text(a.String(), b.String())))
			}
		}
	}
	greater := func(low, high string) func(a, b string) string {
		return func(a, b string) string {
			return fmt.Sprintf("%s value %s is greater than %s value %s", low, a, high, b)
		}
	}
	preset, request := l.Default, l.DefaultRequest
	if l.Type == corev1.LimitTypePod {
		preset, request = nil, nil
	}
	order(l.Min, l.Max, "min", false, greater("min", "max"))
	order(l.Min, request, "defaultRequest", true, greater("min", "default request"))
	order(request, l.Max, "defaultRequest", false, greater("default request", "max"))
	order(request, preset, "defaultRequest", false, greater("default request", "default limit"))
	order(l.Min, preset, "default", false, greater("min", "default"))
	order(preset, l.Max, "default", true, greater("default", "max"))
	for _, name := range slices.Sorted(maps.Keys(l.MaxLimitRequestRatio)) {
		ratio, ratioAt := l.MaxLimitRequestRatio[name], at.Child("maxLimitRequestRatio").Key(string(name))
		if ratio.MilliValue() < 1000 {
			errs = append(errs, field.Invalid(ratioAt, ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
		}
		least, hasMin := l.Min[name]
		most, hasMax := l.Max[name]
		if hasMin && hasMax && least.Sign() > 0 && most.AsApproximateFloat64()/least.AsApproximateFloat64() < ratio.AsApproximateFloat64() {
			errs = append(errs, field.Invalid(ratioAt, ratio.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), most.AsApproximateFloat64()/least.AsApproximateFloat64())))
		}
	}
	return errs
}
