package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"
)

const (
	maxPolicyRules    = 20
	maxExitCodes      = 255
	maxPolicyPatterns = 20
	maxIndexesLength  = 64 * 1024
)

var (
	failureActions = []batchv1.PodFailurePolicyAction{
		batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore,
	}
	exitOperators = []batchv1.PodFailurePolicyOnExitCodesOperator{batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn}
	statuses      = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
)

func validatePodFailurePolicy(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	if spec.PodFailurePolicy == nil {
		return nil
	}
	rulesAt := at.Child("rules")
	if n := len(spec.PodFailurePolicy.Rules); n > maxPolicyRules {
		return field.ErrorList{field.TooMany(rulesAt, n, maxPolicyRules)}
	}
	containers := sets.New[string]()
	for _, list := range [][]corev1.Container{spec.Template.Spec.Containers, spec.Template.Spec.InitContainers} {
		for i := range list {
			containers.Insert(list[i].Name)
		}
	}
	var errs field.ErrorList
	for i := range spec.PodFailurePolicy.Rules {
		errs = append(errs, validateFailureRule(spec, &spec.PodFailurePolicy.Rules[i], containers, rulesAt.Index(i))...)
	}
	return errs
}

func validateFailureRule(spec *batchv1.JobSpec, r *batchv1.PodFailurePolicyRule, containers sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch actionAt := at.Child("action"); {
	case r.Action == "":
		errs = append(errs, field.Required(actionAt, fmt.Sprintf("valid values: %q", failureActions)))
	case r.Action == batchv1.PodFailurePolicyActionFailIndex && spec.BackoffLimitPerIndex == nil:
		errs = append(errs, field.Invalid(actionAt, r.Action, "requires the backoffLimitPerIndex to be set"))
	case !slices.Contains(failureActions, r.Action):
		errs = append(errs, field.NotSupported(actionAt, r.Action, failureActions))
	}
	if r.OnExitCodes != nil {
		errs = append(errs, validateExitCodes(r.OnExitCodes, containers, at.Child("onExitCodes"))...)
	}
	errs = append(errs, validatePatterns(r.OnPodConditions, at.Child("onPodConditions"))...)
	switch codes, conditions := r.OnExitCodes != nil, len(r.OnPodConditions) > 0; {
	case codes && conditions:
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case !codes && !conditions:
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateExitCodes(c *batchv1.PodFailurePolicyOnExitCodesRequirement, containers sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	operatorAt, valuesAt := at.Child("operator"), at.Child("values")
	switch {
	case c.Operator == "":
		errs = append(errs, field.Required(operatorAt, fmt.Sprintf("valid values: %q", exitOperators)))
	case !slices.Contains(exitOperators, c.Operator):
		errs = append(errs, field.NotSupported(operatorAt, c.Operator, exitOperators))
	}
	if c.ContainerName != nil && !containers.Has(*c.ContainerName) {
		errs = append(errs, field.Invalid(at.Child("containerName"), *c.ContainerName, "must be one of the container or initContainer names in the pod template"))
	}
	if len(c.Values) == 0 {
		errs = append(errs, field.Invalid(valuesAt, c.Values, "at least one value is required"))
	} else if len(c.Values) > maxExitCodes {
		errs = append(errs, field.TooMany(valuesAt, len(c.Values), maxExitCodes))
	}
	seen := sets.New[int32]()
	for i, v := range c.Values {
		if c.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && v == 0 {
			errs = append(errs, field.Invalid(valuesAt.Index(i), v, "must not be 0 for the In operator"))
		}
		if seen.Has(v) {
			errs = append(errs, field.Duplicate(valuesAt.Index(i), v))
		}
		seen.Insert(v)
	}
	if !slices.IsSorted(c.Values) {
		errs = append(errs, field.Invalid(valuesAt, c.Values, "must be ordered"))
	}
	return errs
}

func validatePatterns(patterns []batchv1.PodFailurePolicyOnPodConditionsPattern, at *field.Path) field.ErrorList {
	if n := len(patterns); n > maxPolicyPatterns {
		return field.ErrorList{field.TooMany(at, n, maxPolicyPatterns)}
	}
	var errs field.ErrorList
	for i, p := range patterns {
		errs = append(errs, core.ValidateQualifiedName(string(p.Type), at.Index(i).Child("type"))...)
		switch statusAt := at.Index(i).Child("status"); {
		case p.Status == "":
			errs = append(errs, field.Required(statusAt, fmt.Sprintf("valid values: %q", statuses)))
		case !slices.Contains(statuses, p.Status):
			errs = append(errs, field.NotSupported(statusAt, p.Status, statuses))
		}
	}
	return errs
}

func validateSuccessPolicy(spec *batchv1.JobSpec, at *field.Path) field.ErrorList {
	if spec.SuccessPolicy == nil {
		return nil
	}
	if !indexed(spec) {
		return field.ErrorList{field.Invalid(at, spec.SuccessPolicy, "requires indexed completion mode")}
	}
	rulesAt, rules := at.Child("rules"), spec.SuccessPolicy.Rules
	if len(rules) == 0 {
		return field.ErrorList{field.Required(rulesAt, "at least one rules must be specified when the successPolicy is specified")}
	}
	if len(rules) > maxPolicyRules {
		return field.ErrorList{field.TooMany(rulesAt, len(rules), maxPolicyRules)}
	}
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, validateSuccessRule(&rules[i], ptr.Deref(spec.Completions, 0), rulesAt.Index(i))...)
	}
	return errs
}

func validateSuccessRule(r *batchv1.SuccessPolicyRule, completions int32, at *field.Path) field.ErrorList {
	if r.SucceededIndexes == nil && r.SucceededCount == nil {
		return field.ErrorList{field.Required(at, "at least one of succeededCount or succeededIndexes must be set")}
	}
	var errs field.ErrorList
	total := completions
	if list := r.SucceededIndexes; list != nil {
		indexesAt := at.Child("succeededIndexes")
		if len(*list) > maxIndexesLength {
			errs = append(errs, field.TooLong(indexesAt, "", maxIndexesLength))
		}
		n, err := countIndexes(*list, completions)
		if err != nil {
			errs = append(errs, field.Invalid(indexesAt, *list, fmt.Sprintf("error parsing succeededIndexes: %s", err)))
		}
		total = n
	}
	if c := r.SucceededCount; c != nil {
		countAt := at.Child("succeededCount")
		errs = append(errs, core.ValidateNotNegative(*c, countAt)...)
		if *c > total {
			text := fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", total)
			if r.SucceededIndexes != nil {
				text = fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total)
			}
			errs = append(errs, field.Invalid(countAt, *c, text))
		}
	}
	return errs
}

// countIndexes counts the indexes of a list such as "1,3-5,7", which must be
// ascending and below completions.
func countIndexes(list string, completions int32) (int32, error) {
	if list == "" {
		return 0, nil
	}
	var count int32
	last := -1
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return 0, fmt.Errorf("cannot convert string to integer for index: %q", from)
		}
		end := first
		if isRange {
			if end, err = strconv.Atoi(to); err != nil {
				return 0, fmt.Errorf("cannot convert string to integer for index: %q", to)
			}
		}
		switch {
		case first <= last:
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", last, first)
		case isRange && end <= first:
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", first, end)
		case end >= int(completions):
			return 0, fmt.Errorf("too large index: %q", strconv.Itoa(end))
		}
		count += int32(end - first + 1)
		last = end
	}
	return count, nil
}
