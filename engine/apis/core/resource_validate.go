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

// ValidateContainerResourceName checks the name of a resource that containers use.
func ValidateContainerResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
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
	return validateAmounts(list, ValidateContainerResourceName, at)
}

func validateAmounts(list corev1.ResourceList, check resourceCheck, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		errs = append(errs, validateResource(name, list[name], check, at.Key(string(name)))...)
	}
	return errs
}

// resourceCheck checks the name of a resource.
type resourceCheck func(name corev1.ResourceName, at *field.Path) field.ErrorList

func validateResource(name corev1.ResourceName, amount resource.Quantity, check resourceCheck, at *field.Path) field.ErrorList {
	errs := check(name, at)
	errs = append(errs, validateAmount(name, amount, at)...)
	if isHugePages(name) && !wholePages(name, amount) {
		errs = append(errs, field.Invalid(at, amount.String(), fmt.Sprintf("%s is not positive integer multiple of %s", amount.String(), name)))
	}
	return errs
}

// wholePages reports whether an amount is made of pages of the size in the name.
func wholePages(name corev1.ResourceName, amount resource.Quantity) bool {
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || size.MilliValue()%1000 != 0 {
		return false
	}
	return amount.Value()%size.Value() == 0
}

// validateRequirements checks limits, requests, and that each request is within
// its limit.
func (s *specScope) validateRequirements(r *corev1.ResourceRequirements, check resourceCheck, at *field.Path) field.ErrorList {
	limitsAt, requestsAt := at.Child("limits"), at.Child("requests")
	errs := validateAmounts(r.Limits, check, limitsAt)
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		errs = append(errs, check(name, requestsAt.Key(string(name)))...)
		errs = append(errs, validateAmount(name, request, requestsAt.Key(string(name)))...)
		limit, limited := r.Limits[name]
		switch {
		case !limited && !canOvercommit(name):
			errs = append(errs, field.Required(limitsAt, "Limit must be set for non overcommitable resources"))
		case !limited:
		case !canOvercommit(name) && request.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(requestsAt, request.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		case request.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(requestsAt, request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		}
		if isHugePages(name) && !wholePages(name, request) {
			errs = append(errs, field.Invalid(requestsAt.Key(string(name)), request.String(), fmt.Sprintf("%s is not positive integer multiple of %s", request.String(), name)))
		}
	}
	errs = append(errs, hugePagesNeedMore(r, at)...)
	return append(errs, s.validateClaimNames(r.Claims, at.Child("claims"))...)
}

func (s *specScope) validateResources(r *corev1.ResourceRequirements, at *field.Path) field.ErrorList {
	return s.validateRequirements(r, ValidateContainerResourceName, at)
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

// validateClaimNames checks the claims that a container uses, or single requests
// of them: nothing may be named twice, also not as a part of a claim named whole.
func (s *specScope) validateClaimNames(claims []corev1.ResourceClaim, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, c := range claims {
		if c.Name == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		key := c.Name
		if seen.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Index(i), c.Name))
		} else {
			if c.Request != "" {
				errs = append(errs, ValidateDNS1123Label(c.Request, at.Index(i).Child("request"))...)
				key += "/" + c.Request
			}
			if seen.Has(key) {
				errs = append(errs, field.Duplicate(at.Index(i), key))
			} else if c.Request == "" {
				for other := range seen {
					if claim, _, part := strings.Cut(other, "/"); part && claim == c.Name {
						errs = append(errs, field.Duplicate(at.Index(i), c.Name))
					}
				}
			}
			seen.Insert(key)
		}
		if !s.claims.Has(c.Name) {
			err := field.NotFound(at.Index(i), c.Name)
			err.Detail = "must be one of the names in pod.spec.resourceClaims which is empty"
			if len(s.claims) > 0 {
				err.Detail = "must be one of the names in pod.spec.resourceClaims: " + strings.Join(sets.List(s.claims), ", ")
			}
			errs = append(errs, err)
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
	if s.spec.OS != nil && s.spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(at, "may not be set for a windows pod")}
	}
	var errs field.ErrorList
	if r.Claims != nil {
		errs = append(errs, field.Forbidden(at.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	errs = append(errs, s.validateRequirements(r, validatePodResourceName, at)...)
	pod := &corev1.Pod{Spec: *s.spec}
	total := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(total)) {
		sum, request := total[name], r.Requests[name]
		if _, set := r.Requests[name]; set && sum.Cmp(request) > 0 {
			errs = append(errs, field.Invalid(at.Child("requests").Key(string(name)), request.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", sum.String())))
		}
	}
	limits := resourcehelper.AggregateContainerLimits(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		sum, limit := limits[name], r.Limits[name]
		if _, set := r.Limits[name]; set && isHugePages(name) && sum.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(at.Child("limits").Key(string(name)), limit.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container limits of %s", sum.String())))
		}
	}
	return append(errs, containersWithinPod(s.spec, at)...)
}

// containersWithinPod: no container may have a limit above that of the pod.
func containersWithinPod(spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range spec.Containers {
		limits := spec.Containers[i].Resources.Limits
		for _, name := range slices.Sorted(maps.Keys(limits)) {
			limit, most := limits[name], spec.Resources.Limits[name]
			if _, set := spec.Resources.Limits[name]; set && limit.Cmp(most) > 0 {
				errs = append(errs, field.Invalid(at.Child("containers").Index(i).Key(string(name)).Child("limits"), limit.String(),
					fmt.Sprintf("must be less than or equal to pod limits of %s", most.String())))
			}
		}
	}
	return errs
}

func validatePodResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	if errs := validateResourceName(name, at); len(errs) > 0 {
		return errs
	}
	if !resourcehelper.IsSupportedPodLevelResource(name) {
		return field.ErrorList{field.NotSupported(at, name, sets.List(resourcehelper.SupportedPodLevelResources()))}
	}
	return nil
}
