// Package admissionregistration holds the rules of webhook configurations and of
// admission policies and their bindings.
//
// Every function is safe for concurrent use on distinct objects.
package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the admissionregistration.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{
		mutatingPolicies(),
		mutatingPolicyBindings(),
		mutatingWebhooks(),
		validatingPolicies(),
		validatingPolicyBindings(),
		validatingWebhooks(),
	}
}

func kind(name string) schema.GroupVersionKind {
	return admissionregistrationv1.SchemeGroupVersion.WithKind(name)
}

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func setDefaultPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
