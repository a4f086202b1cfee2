package registry

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	// mostErrors is how many errors of one object are told; the rest is counted.
	// The library joins them in time that grows with the square of their number.
	mostErrors = 200
	// longestValue is how much of a wrong text is repeated.
	longestValue = 1024
)

// brief shortens what is told about an object with thousands of errors, or with
// wrong values of megabytes. Wrong structs are shown as upstream shows them.
func brief(errs field.ErrorList) field.ErrorList {
	for _, err := range errs {
		if text, ok := err.BadValue.(string); ok && len(text) > longestValue {
			err.BadValue = fmt.Sprintf("%s... (%d bytes)", text[:longestValue], len(text))
		}
		if apis.ShowsGoNames(err.BadValue) {
			err.BadValue = apis.Shown{Value: err.BadValue}
		}
	}
	if len(errs) <= mostErrors {
		return errs
	}
	more := fmt.Sprintf("%d further errors are not shown", len(errs)-mostErrors)
	return append(errs[:mostErrors:mostErrors], field.Forbidden(field.NewPath("more"), more))
}
