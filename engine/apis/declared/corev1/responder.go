package corev1

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// firstFreePriority is the lowest that responders outside Kubernetes may take.
const firstFreePriority = 1000

// ValidateCustom_EvictionResponder_Name keeps Kubernetes' own domains for itself.
// The generator looks for it by this name.
func ValidateCustom_EvictionResponder_Name(_ context.Context, _ operation.Operation, at *field.Path, name, _ *string) field.ErrorList {
	if name == nil {
		return nil
	}
	domain, _, _ := strings.Cut(*name, "/")
	domain = strings.TrimRight(strings.TrimSpace(strings.ToLower(domain)), ".")
	for _, reserved := range []string{"k8s.io", "kubernetes.io"} {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return field.ErrorList{field.Invalid(at, *name, "domain names *.k8s.io, *.kubernetes.io are reserved")}
		}
	}
	return nil
}

// ValidateCustom_EvictionResponder_Priority keeps the lowest priorities for
// Kubernetes' own responders, of which there are none yet.
func ValidateCustom_EvictionResponder_Priority(_ context.Context, _ operation.Operation, at *field.Path, priority, _ *int32) field.ErrorList {
	if priority == nil || *priority < 0 || *priority >= firstFreePriority {
		return nil
	}
	return field.ErrorList{field.Invalid(at, *priority, "priorities 0-999 are reserved for responders with *.k8s.io suffix")}
}
