package core

import (
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// dropGatedStatus forgets fields of features that are off by default.
func dropGatedStatus(status, old *corev1.PodStatus) {
	if len(old.NodeAllocatableResourceClaimStatuses) == 0 {
		status.NodeAllocatableResourceClaimStatuses = nil
	}
	if len(old.VolumeHealth) == 0 {
		status.VolumeHealth = nil
	}
	for _, list := range [][]corev1.ContainerStatus{status.ContainerStatuses, status.InitContainerStatuses, status.EphemeralContainerStatuses} {
		for i := range list {
			for j := range list[i].VolumeMounts {
				list[i].VolumeMounts[j].VolumeStatus = nil
			}
		}
	}
}

// ownConditions are set by the system; names of others are those of users.
var ownConditions = sets.New(corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized)

func validatePodConditions(list []corev1.PodCondition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		c := &list[i]
		if c.ObservedGeneration < 0 {
			errs = append(errs, field.Invalid(at.Index(i).Child("observedGeneration"), c.ObservedGeneration, notNegativeInteger))
		}
		if !ownConditions.Has(c.Type) {
			errs = append(errs, ValidateQualifiedName(string(c.Type), at.Index(i).Child("Type"))...)
		}
	}
	return errs
}

const notNegativeInteger = "must be a non-negative integer"

// validateStatusIPs wants the lists of addresses to begin with the single ones.
func validateStatusIPs(s *corev1.PodStatus, at *field.Path) field.ErrorList {
	podsAt, hostsAt := at.Child("podIPs"), at.Child("hostIPs")
	errs := validateAddresses(s.PodIPs, func(ip corev1.PodIP) string { return ip.IP }, podsAt)
	switch {
	case (s.PodIP != "") != (len(s.PodIPs) > 0):
		errs = append(errs, field.Invalid(podsAt, s.PodIPs, "podIP and podIPs must either both be set or both be unset"))
	case len(s.PodIPs) > 0 && s.PodIP != s.PodIPs[0].IP:
		errs = append(errs, field.Invalid(podsAt.Index(0).Child("ip"), s.PodIPs[0].IP, "must be equal to `podIP`"))
	}
	if len(s.HostIPs) > 0 && s.HostIP != s.HostIPs[0].IP {
		errs = append(errs, field.Invalid(hostsAt.Index(0).Child("ip"), s.HostIPs[0].IP, "must be equal to `hostIP`"))
	}
	return append(errs, validateAddresses(s.HostIPs, func(ip corev1.HostIP) string { return ip.IP }, hostsAt)...)
}

// validateContainerStatuses checks what containers report of their users and of the
// resources they were given.
func validateContainerStatuses(pod *corev1.Pod, at *field.Path) field.ErrorList {
	s := &pod.Status
	kinds := []struct {
		name string
		list []corev1.ContainerStatus
	}{
		{"containerStatuses", s.ContainerStatuses},
		{"initContainerStatuses", s.InitContainerStatuses},
		{"ephemeralContainerStatuses", s.EphemeralContainerStatuses},
	}
	var errs field.ErrorList
	for _, kind := range kinds {
		for i := range kind.list {
			errs = append(errs, validateUser(kind.list[i].User, pod.Spec.OS, at.Child(kind.name).Index(i).Child("user", "linux"))...)
		}
	}
	for i, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		errs = append(errs, validateGiven(kinds[i].list, containers, s.ExtendedResourceClaimStatus, at.Child(kinds[i].name))...)
	}
	for i := range s.EphemeralContainerStatuses {
		if len(s.EphemeralContainerStatuses[i].AllocatedResourcesStatus) > 0 {
			errs = append(errs, field.Forbidden(at.Child("ephemeralContainerStatuses").Index(i).Child("allocatedResourcesStatus"), "must not be specified in container status"))
		}
	}
	return errs
}

func validateUser(user *corev1.ContainerUser, os *corev1.PodOS, at *field.Path) field.ErrorList {
	if user == nil || user.Linux == nil {
		return nil
	}
	if os != nil && os.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(at, "cannot be set for a windows pod")}
	}
	var errs field.ErrorList
	if uid := user.Linux.UID; uid < 0 || uid > math.MaxUint32 {
		errs = append(errs, field.Invalid(at.Child("uid"), uid, utilvalidation.InclusiveRangeError(0, math.MaxUint32)))
	}
	errs = append(errs, invalidEach(at.Child("gid"), user.Linux.GID, utilvalidation.IsValidGroupID(user.Linux.GID))...)
	for i, gid := range user.Linux.SupplementalGroups {
		errs = append(errs, invalidEach(at.Child("supplementalGroups").Index(i), gid, utilvalidation.IsValidGroupID(gid))...)
	}
	return errs
}

var healths = []corev1.ResourceHealthStatus{corev1.ResourceHealthStatusHealthy, corev1.ResourceHealthStatusUnhealthy, corev1.ResourceHealthStatusUnknown}

func validateGiven(statuses []corev1.ContainerStatus, containers []corev1.Container, extended *corev1.PodExtendedResourceClaimStatus, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range statuses {
		for j, given := range statuses[i].AllocatedResourcesStatus {
			givenAt := at.Index(i).Child("allocatedResourcesStatus").Index(j)
			// A status of a container that the pod lacks is left alone, as upstream does.
			if c := containerNamed(containers, statuses[i].Name); c != nil {
				errs = append(errs, validateAsked(given.Name, c, extended, givenAt.Child("name"))...)
			}
			errs = append(errs, validateHealths(given.Resources, givenAt.Child("resources"))...)
		}
	}
	return errs
}

func containerNamed(containers []corev1.Container, name string) *corev1.Container {
	for i := range containers {
		if containers[i].Name == name {
			return &containers[i]
		}
	}
	return nil
}

// validateAsked wants a resource that was given to be one the container asked for.
func validateAsked(name corev1.ResourceName, c *corev1.Container, extended *corev1.PodExtendedResourceClaimStatus, at *field.Path) field.ErrorList {
	if !strings.HasPrefix(string(name), "claim:") {
		if _, ok := c.Resources.Requests[name]; ok {
			return nil
		}
		return field.ErrorList{field.Invalid(at, name, "must match one of the container's resource requests")}
	}
	claim, request, _ := strings.Cut(strings.TrimPrefix(string(name), "claim:"), "/")
	for _, asked := range c.Resources.Claims {
		if asked.Name == claim && asked.Request == request {
			return nil
		}
	}
	if extended != nil && extended.ResourceClaimName == claim {
		for _, m := range extended.RequestMappings {
			if m.ContainerName == c.Name && m.RequestName == request {
				return nil
			}
		}
	}
	return field.ErrorList{field.Invalid(at, name, "must match one of the container's resource claims as 'claim:<claimName>/<requestName>' "+
		"when container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty")}
}

func validateHealths(list []corev1.ResourceHealth, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceID]()
	for i := range list {
		r := &list[i]
		if r.Health != healths[0] && r.Health != healths[1] && r.Health != healths[2] {
			errs = append(errs, field.NotSupported(at.Index(i).Child("health"), r.Health, healths))
		}
		if m := r.Message; m != nil && *m == "" {
			errs = append(errs, field.Required(at.Index(i).Child("message"), "must be non-empty if specified"))
		} else if m != nil && len(*m) > corev1.ResourceHealthMessageMaxLength {
			errs = append(errs, field.TooLong(at.Index(i).Child("message"), *m, corev1.ResourceHealthMessageMaxLength))
		}
		if seen.Has(r.ResourceID) {
			errs = append(errs, field.Duplicate(at.Index(i).Child("resourceID"), r.ResourceID))
		}
		seen.Insert(r.ResourceID)
	}
	return errs
}

// validateClaimStatuses wants what is told of resource claims to be of claims of the
// pod.
func validateClaimStatuses(pod *corev1.Pod, at *field.Path) field.ErrorList {
	known, seen := sets.New[string](), sets.New[string]()
	for _, c := range pod.Spec.ResourceClaims {
		known.Insert(c.Name)
	}
	var errs field.ErrorList
	for i, s := range pod.Status.ResourceClaimStatuses {
		if !known.Has(s.Name) {
			errs = append(errs, field.Invalid(at.Child("resourceClaimStatuses").Index(i).Child("name"), s.Name, "must match the name of an entry in `spec.resourceClaims`"))
		}
		if seen.Has(s.Name) {
			errs = append(errs, field.Duplicate(at.Child("resourceClaimStatuses").Index(i).Child("name"), s.Name))
		}
		seen.Insert(s.Name)
		if n := s.ResourceClaimName; n != nil {
			errs = append(errs, invalidEach(at.Child("resourceClaimStatuses").Index(i).Child("resourceClaimName"), n, validation.NameIsDNSSubdomain(*n, false))...)
		}
	}
	return append(errs, validateExtendedClaim(pod, at.Child("extendedResourceClaimStatus"))...)
}

func validateExtendedClaim(pod *corev1.Pod, at *field.Path) field.ErrorList {
	s := pod.Status.ExtendedResourceClaimStatus
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	if len(s.RequestMappings) == 0 {
		errs = append(errs, field.Required(at.Child("requestMappings"), "at least one request mapping is required"))
	}
	seen := sets.New[corev1.ContainerExtendedResourceRequest]()
	for i, m := range s.RequestMappings {
		mapAt := at.Child("requestMappings").Index(i)
		c := containerNamed(pod.Spec.Containers, m.ContainerName)
		if c == nil {
			c = containerNamed(pod.Spec.InitContainers, m.ContainerName)
		}
		if c == nil {
			errs = append(errs, field.Invalid(mapAt.Child("containerName"), m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name"))
		} else if _, ok := c.Resources.Requests[corev1.ResourceName(m.ResourceName)]; !ok {
			errs = append(errs, field.Invalid(mapAt.Child("resourceName"), m.ResourceName,
				"must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests"))
		}
		errs = append(errs, invalidEach(at.Child("requestName"), m.RequestName, utilvalidation.IsDNS1123Label(m.RequestName))...)
		if seen.Has(m) {
			errs = append(errs, field.Duplicate(mapAt.Child("containerName"), m.ContainerName),
				field.Duplicate(mapAt.Child("resourceName"), m.ResourceName), field.Duplicate(mapAt.Child("requestName"), m.RequestName))
		}
		seen.Insert(m)
	}
	if s.ResourceClaimName == "" {
		return append(errs, field.Required(at.Child("resourceClaimName"), ""))
	}
	return append(errs, invalidEach(at.Child("resourceClaimName"), s.ResourceClaimName, validation.NameIsDNSSubdomain(s.ResourceClaimName, false))...)
}
