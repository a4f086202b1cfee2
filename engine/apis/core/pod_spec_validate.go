package core

import (
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// specScope is what the checks of a pod spec know of its surroundings.
type specScope struct {
	spec *corev1.PodSpec
	// pod says the spec is that of a pod, not of a template: some rules are
	// left to the creation of pods, because defaults may still satisfy them.
	pod     bool
	volumes map[string]*corev1.VolumeSource
	claims  sets.Set[string]
	// grace is the termination grace period in seconds.
	grace int64
}

// ValidatePodTemplate checks a pod template of a workload.
func ValidatePodTemplate(t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabels(t.Labels, at.Child("labels"))
	errs = append(errs, validation.ValidateAnnotations(t.Annotations, at.Child("annotations"))...)
	errs = append(errs, validatePodSpec(&t.Spec, false, at.Child("spec"))...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(at.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

func validatePodSpec(spec *corev1.PodSpec, pod bool, at *field.Path) field.ErrorList {
	s := &specScope{spec: spec, pod: pod, grace: ptr.Deref(spec.TerminationGracePeriodSeconds, 0)}
	errs := s.validateVolumes(at.Child("volumes"))
	errs = append(errs, s.validateClaims(at.Child("resourceClaims"))...)
	errs = append(errs, s.validatePodResources(at)...)
	errs = append(errs, s.validateContainers(at.Child("containers"))...)
	errs = append(errs, s.validateInitContainers(at.Child("initContainers"))...)
	errs = append(errs, s.validateEphemeralContainers(at.Child("ephemeralContainers"))...)
	errs = append(errs, oneOf(spec.RestartPolicy, at.Child("restartPolicy"), corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure)...)
	errs = append(errs, oneOf(spec.DNSPolicy, at.Child("dnsPolicy"), corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, corev1.DNSDefault, corev1.DNSNone)...)
	errs = append(errs, metavalidation.ValidateLabels(spec.NodeSelector, at.Child("nodeSelector"))...)
	errs = append(errs, s.validateSecurity(at)...)
	errs = append(errs, validateAffinity(spec.Affinity, at.Child("affinity"))...)
	errs = append(errs, validateDNSConfig(spec.DNSConfig, spec.DNSPolicy, at.Child("dnsConfig"))...)
	for i, gate := range spec.ReadinessGates {
		errs = append(errs, ValidateQualifiedName(string(gate.ConditionType), at.Child("readinessGates").Index(i).Child("conditionType"))...)
	}
	errs = append(errs, validateSchedulingGates(spec.SchedulingGates, at.Child("schedulingGates"))...)
	errs = append(errs, validateSpread(spec.TopologySpreadConstraints, at.Child("topologySpreadConstraints"))...)
	errs = append(errs, s.validateHostUsers(at)...)
	errs = append(errs, s.validateNames(at)...)
	errs = append(errs, ValidateTolerations(spec.Tolerations, at.Child("tolerations"))...)
	errs = append(errs, validateHostAliases(spec.HostAliases, at.Child("hostAliases"))...)
	if p := spec.PreemptionPolicy; p != nil {
		errs = append(errs, oneOf(*p, at.Child("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	errs = append(errs, validateOverhead(spec.Overhead, at.Child("overhead"))...)
	return append(errs, s.validateOS(at)...)
}

// validateNames checks the fields of the spec that name things, and the deadline.
func (s *specScope) validateNames(at *field.Path) field.ErrorList {
	spec := s.spec
	var errs field.ErrorList
	name := func(child, value string, messages func(string, bool) []string) {
		if value != "" {
			errs = append(errs, invalidEach(at.Child(child), value, messages(value, false))...)
		}
	}
	label := func(value string, _ bool) []string { return utilvalidation.IsDNS1123Label(value) }
	name("serviceAccountName", spec.ServiceAccountName, validation.ValidateServiceAccountName)
	name("nodeName", spec.NodeName, validation.NameIsDNSSubdomain)
	if d := spec.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(at.Child("activeDeadlineSeconds"), *d, utilvalidation.InclusiveRangeError(1, math.MaxInt32)))
	}
	name("hostname", spec.Hostname, label)
	name("subdomain", spec.Subdomain, label)
	if o := spec.HostnameOverride; o != nil {
		errs = append(errs, s.validateHostnameOverride(*o, at)...)
	}
	name("priorityClassName", spec.PriorityClassName, validation.NameIsDNSSubdomain)
	name("runtimeClassName", ptr.Deref(spec.RuntimeClassName, ""), validation.NameIsDNSSubdomain)
	return errs
}

func (s *specScope) validateHostnameOverride(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.spec.HostNetwork {
		errs = append(errs, field.Forbidden(at.Child("hostnameOverride"), "may not be specified when hostNetwork is true"))
	}
	if ptr.Deref(s.spec.SetHostnameAsFQDN, false) {
		errs = append(errs, field.Forbidden(at.Child("hostnameOverride"), "may not be specified when setHostnameAsFQDN is true"))
	}
	if len(name) > 64 {
		errs = append(errs, field.TooLong(at.Child("hostnameOverride"), name, 64))
	}
	return append(errs, ValidateDNS1123Subdomain(name, at.Child("hostnameOverride"))...)
}

func validateDNSConfig(c *corev1.PodDNSConfig, policy corev1.DNSPolicy, at *field.Path) field.ErrorList {
	const maxNameservers, maxSearches, maxSearchChars = 3, 32, 2048
	var errs field.ErrorList
	if policy == corev1.DNSNone {
		if c == nil {
			return append(errs, field.Required(at, "must provide `dnsConfig` when `dnsPolicy` is "+string(corev1.DNSNone)))
		}
		if len(c.Nameservers) == 0 {
			errs = append(errs, field.Required(at.Child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is "+string(corev1.DNSNone)))
		}
	}
	if c == nil {
		return errs
	}
	if len(c.Nameservers) > maxNameservers {
		errs = append(errs, field.Invalid(at.Child("nameservers"), c.Nameservers, "must not have more than 3 nameservers"))
	}
	for i, ns := range c.Nameservers {
		errs = append(errs, utilvalidation.IsValidIPForLegacyField(at.Child("nameservers").Index(i), ns, false, nil)...)
	}
	if len(c.Searches) > maxSearches {
		errs = append(errs, field.Invalid(at.Child("searches"), c.Searches, "must not have more than 32 search paths"))
	}
	if len(strings.Join(c.Searches, " ")) > maxSearchChars {
		errs = append(errs, field.Invalid(at.Child("searches"), c.Searches, "must not have more than 2048 characters (including spaces) in the search list"))
	}
	for i, search := range c.Searches {
		if search != "." {
			name := strings.TrimSuffix(search, ".")
			errs = append(errs, invalidEach(at.Child("searches").Index(i), search, utilvalidation.IsDNS1123SubdomainWithUnderscore(name))...)
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(at.Child("options").Index(i), "must not be empty"))
		}
	}
	return errs
}

func validateHostAliases(aliases []corev1.HostAlias, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, a := range aliases {
		errs = append(errs, utilvalidation.IsValidIPForLegacyField(at.Index(i).Child("ip"), a.IP, false, nil)...)
		for j, host := range a.Hostnames {
			errs = append(errs, ValidateDNS1123Subdomain(host, at.Index(i).Child("hostnames").Index(j))...)
		}
	}
	return errs
}

func validateOverhead(overhead corev1.ResourceList, at *field.Path) field.ErrorList {
	if len(overhead) == 0 {
		return nil
	}
	return ValidateAmounts(overhead, at)
}

func (s *specScope) validateClaims(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	s.claims = sets.New[string]()
	for i := range s.spec.ResourceClaims {
		c, claimAt := &s.spec.ResourceClaims[i], at.Index(i)
		switch {
		case s.claims.Has(c.Name):
			errs = append(errs, field.Duplicate(claimAt.Child("name"), c.Name))
		case c.Name != "":
			errs = append(errs, ValidateDNS1123Label(c.Name, claimAt.Child("name"))...)
			s.claims.Insert(c.Name)
		default:
			errs = append(errs, field.Required(claimAt.Child("name"), ""))
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(claimAt, c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(claimAt, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		if n := c.ResourceClaimName; n != nil {
			errs = append(errs, invalidEach(claimAt.Child("resourceClaimName"), *n, validation.NameIsDNSSubdomain(*n, false))...)
		}
		if n := c.ResourceClaimTemplateName; n != nil {
			errs = append(errs, invalidEach(claimAt.Child("resourceClaimTemplateName"), *n, validation.NameIsDNSSubdomain(*n, false))...)
		}
	}
	return errs
}
