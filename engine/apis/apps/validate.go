package apps

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis/core"
)

var (
	metadata   = field.NewPath("metadata")
	specPath   = field.NewPath("spec")
	statusPath = field.NewPath("status")
)

// nameWarning tells when pods named after the workload get odd host names.
func nameWarning(name string) []string {
	bad := utilvalidation.IsDNS1123Label(name)
	if len(bad) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", bad)}
}

// validateSelector checks the selector of a workload and returns it for the
// check of the template; it is nil if the selector is of no use.
func validateSelector(s *metav1.LabelSelector, workload string, at *field.Path) (labels.Selector, field.ErrorList) {
	if s == nil {
		return labels.Nothing(), field.ErrorList{field.Required(at, "")}
	}
	errs := metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, at)
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(at, s, "empty selector is invalid for "+workload))
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, append(errs, field.Invalid(at, s, "invalid label selector"))
	}
	return selector, errs
}

// validateShare checks a number, or a percentage, of pods.
func validateShare(v intstr.IntOrString, at *field.Path) field.ErrorList {
	if v.Type == intstr.Int {
		return core.ValidateNotNegative(v.IntVal, at)
	}
	var errs field.ErrorList
	for _, msg := range utilvalidation.IsValidPercent(v.StrVal) {
		errs = append(errs, field.Invalid(at, v, msg))
	}
	return errs
}

// atMostAll refuses more than all pods.
func atMostAll(v intstr.IntOrString, at *field.Path) field.ErrorList {
	if p, ok := percent(v); ok && p > 100 {
		return field.ErrorList{field.Invalid(at, v, "must not be greater than 100%")}
	}
	return nil
}

func percent(v intstr.IntOrString) (int, bool) {
	if v.Type != intstr.String || len(utilvalidation.IsValidPercent(v.StrVal)) > 0 {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	return n, err == nil
}

var zero = intstr.FromInt32(0)

// amount is the number, or the number of percent; zero is zero either way.
func amount(v *intstr.IntOrString) int {
	if v == nil {
		return 0
	}
	if p, ok := percent(*v); ok {
		return p
	}
	return v.IntValue()
}

// validateCollisions lets the count of hash collisions only grow.
func validateCollisions(now, was *int32, at *field.Path) field.ErrorList {
	if was == nil {
		return nil
	}
	value := int32(0)
	if now != nil {
		value = *now
	}
	if value < *was {
		return field.ErrorList{field.Invalid(at, value, "cannot be decremented")}
	}
	return nil
}
