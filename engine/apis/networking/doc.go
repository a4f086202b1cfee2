// Package networking holds the rules of ingresses, ingress classes, network
// policies, service CIDRs and IP addresses: defaults, validation, table columns.
//
// Every function is safe for concurrent use on distinct objects.
package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the networking.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{ingressClasses(), ingresses(), ipAddresses(), networkPolicies(), serviceCIDRs()}
}

func kind(name string) schema.GroupVersionKind {
	return networkingv1.SchemeGroupVersion.WithKind(name)
}

var metadata = field.NewPath("metadata")

func invalidEach(at *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range messages {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}
