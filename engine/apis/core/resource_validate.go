package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"
)

// standardResources need no domain in their name.
var standardResources = sets.New(
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceRequestsStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
	corev1.ResourceSecrets, corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims,
	corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
)

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

func isNative(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// isExtended reports a resource of a vendor's domain, which may not be shared.
func isExtended(name corev1.ResourceName) bool {
	if isNative(name) || strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	return len(utilvalidation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
}

// canOvercommit reports whether a limit may be above the request.
func canOvercommit(name corev1.ResourceName) bool { return isNative(name) && !isHugePages(name) }

func validateResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := invalidEach(at, name, utilvalidation.IsQualifiedName(string(name)))
	if len(errs) == 0 && !strings.Contains(string(name), "/") && !standardResources.Has(name) && !isHugePages(name) &&
		!strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix) {
		errs = append(errs, field.Invalid(at, name, "must be a standard resource type or fully qualified"))
	}
	return errs
}

func validateContainerResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := validateResourceName(name, at)
	if !strings.Contains(string(name), "/") {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage, isHugePages(name):
		default:
			errs = append(errs, field.Invalid(at, name, "must be a standard resource for containers"))
		}
	} else if !isNative(name) && !isExtended(name) {
		errs = append(errs, field.Invalid(at, name, "doesn't follow extended resource name standard"))
	}
	return errs
}

// validateAmount refuses negative amounts, and parts of things that are whole.
func validateAmount(name corev1.ResourceName, q resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.Sign() < 0 {
		errs = append(errs, field.Invalid(at, q.String(), notNegative))
	}
	if (isExtended(name) || isCount(name)) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(at, q, "must be an integer"))
	}
	return errs
}

func isCount(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
		corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return false
}

// ValidateAmounts checks a list of resources of a container, one key at a time
// in the order of names.
func ValidateAmounts(list corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		keyAt := at.Key(string(name))
		errs = append(errs, validateContainerResourceName(name, keyAt)...)
		errs = append(errs, validateAmount(name, list[name], keyAt)...)
	}
	return errs
}

func (s *specScope) validateResources(r *corev1.ResourceRequirements, at *field.Path) field.ErrorList {
	limitsAt, requestsAt := at.Child("limits"), at.Child("requests")
	errs := ValidateAmounts(r.Limits, limitsAt)
	errs = append(errs, ValidateAmounts(r.Requests, requestsAt)...)
	errs = append(errs, requestsWithinLimits(r, limitsAt, requestsAt)...)
	errs = append(errs, hugePagesNeedMore(r, at)...)
	return append(errs, s.validateClaimNames(r.Claims, at.Child("claims"))...)
}

func requestsWithinLimits(r *corev1.ResourceRequirements, limitsAt, requestsAt *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		limit, limited := r.Limits[name]
		switch {
		case !limited && !canOvercommit(name):
			errs = append(errs, field.Required(limitsAt, "Limit must be set for non overcommitable resources"))
		case !limited:
		case canOvercommit(name) && request.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(requestsAt, request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		case !canOvercommit(name) && request.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(requestsAt, request.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		}
	}
	return errs
}

func hugePagesNeedMore(r *corev1.ResourceRequirements, at *field.Path) field.ErrorList {
	huge, other := false, false
	for _, list := range []corev1.ResourceList{r.Limits, r.Requests} {
		for name := range list {
			huge = huge || isHugePages(name)
			other = other || name == corev1.ResourceCPU || name == corev1.ResourceMemory
		}
	}
	if huge && !other {
		return field.ErrorList{field.Forbidden(at, "HugePages require cpu or memory")}
	}
	return nil
}

func (s *specScope) validateClaimNames(claims []corev1.ResourceClaim, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceClaim]()
	for i, c := range claims {
		if c.Name == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		if seen.Has(c) || c.Request != "" && seen.Has(corev1.ResourceClaim{Name: c.Name}) {
			errs = append(errs, field.Duplicate(at.Index(i), c.Name))
		}
		seen.Insert(c)
		if !s.claims.Has(c.Name) {
			errs = append(errs, field.NotFound(at.Index(i), c.Name))
		}
	}
	return errs
}

// validatePodResources checks the resources of a pod as a whole against those of
// its containers.
func (s *specScope) validatePodResources(at *field.Path) field.ErrorList {
	r := s.spec.Resources
	if r == nil {
		return nil
	}
	at = at.Child("resources")
	limitsAt, requestsAt := at.Child("limits"), at.Child("requests")
	errs := podLevelAmounts(r.Limits, limitsAt)
	errs = append(errs, podLevelAmounts(r.Requests, requestsAt)...)
	errs = append(errs, requestsWithinLimits(r, limitsAt, requestsAt)...)
	if len(r.Claims) > 0 {
		errs = append(errs, field.Forbidden(at.Child("claims"), "may not be set for Resources at pod-level"))
	}
	pod := &corev1.Pod{Spec: *s.spec}
	total := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		sum, request := total[name], r.Requests[name]
		if sum.Cmp(request) > 0 {
			errs = append(errs, field.Invalid(requestsAt.Key(string(name)), request.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", sum.String())))
		}
	}
	return errs
}

func podLevelAmounts(list corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !resourcehelper.IsSupportedPodLevelResource(name) {
			errs = append(errs, field.NotSupported(at.Key(string(name)), name, sets.List(resourcehelper.SupportedPodLevelResources())))
		}
		errs = append(errs, validateAmount(name, list[name], at.Key(string(name)))...)
	}
	return errs
}
