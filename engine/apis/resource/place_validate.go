package resource

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis/core"
)

// placeOf names the ways in which a slice or a device says where it is, and what is
// wrong with them.
func placeOf(name *string, selector *corev1.NodeSelector, all *bool, empty string, at *field.Path) (ways []string, errs field.ErrorList) {
	switch {
	case name == nil:
	case *name == "":
		errs = append(errs, field.Invalid(at.Child("nodeName"), "", empty))
	default:
		ways = append(ways, "`nodeName`")
		for _, msg := range validation.NameIsDNSSubdomain(*name, false) {
			errs = append(errs, field.Invalid(at.Child("nodeName"), *name, msg))
		}
	}
	if selector != nil {
		ways = append(ways, "`nodeSelector`")
		errs = append(errs, core.ValidateNodeSelector(selector, at.Child("nodeSelector"))...)
	}
	switch {
	case all == nil:
	case *all:
		ways = append(ways, "`allNodes`")
	default:
		errs = append(errs, field.Invalid(at.Child("allNodes"), false, "must be either unset or set to true"))
	}
	return ways, errs
}
