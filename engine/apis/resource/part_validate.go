package resource

import (
	"encoding/json"
	"fmt"
	"strings"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	dracel "k8s.io/dynamic-resource-allocation/cel"

	"github.com/pintle-io/pintle/engine/apis/core"
)

func validateSelectors(selectors []v1.DeviceSelector, at *field.Path) field.ErrorList {
	if len(selectors) > v1.DeviceSelectorsMaxSize {
		return nil // the generated validation says so
	}
	var errs field.ErrorList
	for i, s := range selectors {
		celAt := at.Index(i).Child("cel")
		if s.CEL == nil {
			errs = append(errs, field.Required(celAt, ""))
			continue
		}
		errs = append(errs, validateExpression(s.CEL.Expression, celAt.Child("expression"))...)
	}
	return errs
}

// validateExpression compiles an expression over a device and bounds its cost.
func validateExpression(expression string, at *field.Path) field.ErrorList {
	if len(expression) > v1.CELSelectorExpressionMaxLength {
		return field.ErrorList{field.TooLong(at, "", v1.CELSelectorExpressionMaxLength)}
	}
	env := environment.NewExpressions
	result := dracel.GetCompiler(dracel.Features{EnableConsumableCapacity: true}).CompileCELExpression(expression, dracel.Options{EnvType: &env})
	switch {
	case result.Error != nil && result.Error.Type == apiservercel.ErrorTypeRequired:
		return field.ErrorList{field.Required(at, result.Error.Detail)}
	case result.Error != nil && result.Error.Type == apiservercel.ErrorTypeInvalid:
		return field.ErrorList{field.Invalid(at, expression, result.Error.Detail)}
	case result.Error != nil:
		return field.ErrorList{field.InternalError(at, result.Error)}
	case result.MaxCost > v1.CELSelectorExpressionMaxCost:
		return field.ErrorList{field.Forbidden(at, "too complex, exceeds cost limit")}
	}
	return nil
}

func validateConfig(config v1.DeviceConfiguration, at *field.Path) field.ErrorList {
	if config.Opaque == nil {
		return field.ErrorList{field.Required(at.Child("opaque"), "")}
	}
	return validateRaw(config.Opaque.Parameters, at.Child("opaque", "parameters"))
}

// validateRaw asks for a JSON object of at most 10 KiB.
func validateRaw(raw runtime.RawExtension, at *field.Path) field.ErrorList {
	var value any
	switch n := len(raw.Raw); {
	case n == 0:
		return field.ErrorList{field.Required(at, "")}
	case n > v1.OpaqueParametersMaxLength:
		return field.ErrorList{field.TooLong(at, "", v1.OpaqueParametersMaxLength)}
	}
	if err := json.Unmarshal(raw.Raw, &value); err != nil {
		return field.ErrorList{field.Invalid(at, "<value omitted>", fmt.Sprintf("error parsing data as JSON: %v", err))}
	}
	if value == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	if _, ok := value.(map[string]any); !ok {
		return field.ErrorList{field.Invalid(at, "<value omitted>", "must be a valid JSON object")}
	}
	return nil
}

func validateTolerations(tolerations []v1.DeviceToleration, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, t := range tolerations {
		valueAt := at.Index(i).Child("value")
		switch t.Operator {
		case v1.DeviceTolerationOpExists:
			if t.Value != "" {
				errs = append(errs, field.Invalid(valueAt, t.Value, "must be empty for operator `Exists`"))
			}
		case v1.DeviceTolerationOpEqual:
			errs = append(errs, validateLabelValue(t.Value, valueAt)...)
		}
	}
	return errs
}

func validateTaint(taint v1.DeviceTaint, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelName(taint.Key, at.Child("key"))
	if taint.Value != "" {
		errs = append(errs, validateLabelValue(taint.Value, at.Child("value"))...)
	}
	return errs
}

func validateLabelValue(value string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsValidLabelValue(value) {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}

// validatePoolName checks a name of subdomains joined by slashes.
func validatePoolName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > v1.PoolNameMaxLength {
		errs = append(errs, field.TooLong(at, "", v1.PoolNameMaxLength))
	}
	for part := range strings.SplitSeq(name, "/") {
		errs = append(errs, core.ValidateDNS1123Subdomain(part, at)...)
	}
	return errs
}

// validateBinding checks the conditions that binding waits for, and those that make
// it fail: both or none, each once, and none in both.
func validateBinding(conditions, failures []string, at *field.Path) field.ErrorList {
	conditionsAt, failuresAt := at.Child("bindingConditions"), at.Child("bindingFailureConditions")
	var errs field.ErrorList
	check := func(list []string, limit int, at *field.Path) {
		for i, c := range list[:min(len(list), limit+1)] {
			if len(list) > limit {
				return // the generated validation says so
			}
			errs = append(errs, metavalidation.ValidateLabelName(c, at.Index(i))...)
		}
	}
	check(conditions, v1.BindingConditionsMaxSize, conditionsAt)
	check(failures, v1.BindingFailureConditionsMaxSize, failuresAt)
	seen := sets.New[string]()
	for i, c := range conditions {
		if seen.Has(c) {
			errs = append(errs, field.Duplicate(conditionsAt.Index(i), c))
		}
		seen.Insert(c)
	}
	failed := sets.New[string]()
	for i, c := range failures {
		if failed.Has(c) {
			errs = append(errs, field.Duplicate(failuresAt.Index(i), c))
		}
		failed.Insert(c)
		if seen.Has(c) {
			errs = append(errs, field.Invalid(failuresAt.Index(i), c, "bindingFailureConditions must not overlap with bindingConditions"))
		}
	}
	if len(conditions) == 0 && len(failures) > 0 {
		errs = append(errs, field.Invalid(conditionsAt, conditions, "bindingConditions are required to use bindingFailureConditions"))
	}
	if len(failures) == 0 && len(conditions) > 0 {
		errs = append(errs, field.Invalid(failuresAt, failures, "bindingFailureConditions are required to use bindingConditions"))
	}
	return errs
}

// validateQualifiedName checks an identifier with or without a domain.
func validateQualifiedName(name v1.QualifiedName, at *field.Path) field.ErrorList {
	parts := strings.Split(string(name), "/")
	var errs field.ErrorList
	if len(parts) > 2 {
		return nil // as upstream, which knows it for a gap
	}
	if len(parts) == 2 {
		if parts[0] == "" {
			errs = append(errs, field.Invalid(at, "", "the domain must not be empty"))
		} else {
			errs = append(errs, core.ValidateCSIDriverName(parts[0], at)...)
		}
		if parts[1] == "" {
			return append(errs, field.Invalid(at, "", "the name must not be empty"))
		}
	}
	id := parts[len(parts)-1]
	if len(id) > v1.DeviceMaxIDLength {
		errs = append(errs, field.TooLong(at, "", v1.DeviceMaxIDLength))
	}
	for _, msg := range content.IsCIdentifier(id) {
		errs = append(errs, field.Invalid(at, id, msg))
	}
	return errs
}
