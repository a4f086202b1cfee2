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
	pod bool
	// podName is empty for a template.
	podName string
	volumes map[string]*corev1.VolumeSource
	claims  sets.Set[string]
	// grace is the termination grace period in seconds.
	grace int64
}

// ValidatePodTemplate checks a pod template of a workload.
func ValidatePodTemplate(t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabels(t.Labels, at.Child("labels"))
	errs = append(errs, validation.ValidateAnnotations(t.Annotations, at.Child("annotations"))...)
	errs = append(errs, validatePodSpec(&t.Spec, &specScope{}, at.Child("spec"))...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(at.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

func validatePodSpec(spec *corev1.PodSpec, s *specScope, at *field.Path) field.ErrorList {
	s.spec, s.grace = spec, ptr.Deref(spec.TerminationGracePeriodSeconds, 0)
	errs := s.validateVolumes(at.Child("volumes"))
	errs = append(errs, s.validateClaims(at.Child("resourceClaims"))...)
	errs = append(errs, s.validateContainers(at.Child("containers"))...)
	errs = append(errs, s.validateInitContainers(at.Child("initContainers"))...)
	errs = append(errs, s.validateEphemeralContainers(at.Child("ephemeralContainers"))...)
	errs = append(errs, s.validatePodResources(at)...)
	errs = append(errs, s.validateHostNetworkPorts(at.Child("containers"))...)
	errs = append(errs, oneOf(spec.RestartPolicy, at.Child("restartPolicy"), corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, oneOf(spec.DNSPolicy, at.Child("dnsPolicy"), corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	errs = append(errs, metavalidation.ValidateLabels(spec.NodeSelector, at.Child("nodeSelector"))...)
	errs = append(errs, s.validateSecurity(at)...)
	errs = append(errs, s.validateSharedProcesses(at)...)
	errs = append(errs, validateAffinity(spec.Affinity, at.Child("affinity"))...)
	errs = append(errs, validateDNSConfig(spec.DNSConfig, spec.DNSPolicy, at.Child("dnsConfig"))...)
	for i, gate := range spec.ReadinessGates {
		errs = append(errs, ValidateQualifiedName(string(gate.ConditionType), at.Child("readinessGates").Index(i).Child("conditionType"))...)
	}
	errs = append(errs, validateSchedulingGates(spec.SchedulingGates, at.Child("schedulingGates"))...)
	errs = append(errs, validateSpread(spec.TopologySpreadConstraints, at.Child("topologySpreadConstraints"))...)
	errs = append(errs, s.validateHostProcesses(at)...)
	errs = append(errs, s.validateHostUsers(at)...)
	errs = append(errs, s.validateHostnameOverride(at)...)
	errs = append(errs, s.validateNames(at)...)
	if p := spec.PreemptionPolicy; p != nil {
		errs = append(errs, oneOf(*p, at.Child("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	errs = append(errs, s.validateOverhead(at.Child("overhead"))...)
	errs = append(errs, s.validateOS(at)...)
	return append(errs, s.validateFileVariables(at)...)
}

// validateFileVariables: variables are read from files in emptyDir volumes only.
func (s *specScope) validateFileVariables(at *field.Path) field.ErrorList {
	volumes := map[string]*corev1.Volume{}
	for i := range s.spec.Volumes {
		volumes[s.spec.Volumes[i].Name] = &s.spec.Volumes[i]
	}
	var errs field.ErrorList
	eachContainer(s.spec, at, func(c *corev1.Container, at *field.Path) {
		for i := range c.Env {
			if c.Env[i].ValueFrom == nil || c.Env[i].ValueFrom.FileKeyRef == nil {
				continue
			}
			name, nameAt := c.Env[i].ValueFrom.FileKeyRef.VolumeName, at.Child("env").Index(i).Child("valueFrom", "fileKeyRef", "volumeName")
			if v, ok := volumes[name]; !ok {
				errs = append(errs, field.NotFound(nameAt, name))
			} else if v.EmptyDir == nil {
				errs = append(errs, field.Invalid(nameAt, name, "referenced volume must be of type emptyDir"))
			}
		}
	})
	return errs
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
	errs = append(errs, ValidateTolerations(spec.Tolerations, at.Child("tolerations"))...)
	errs = append(errs, validateHostAliases(spec.HostAliases, at.Child("hostAliases"))...)
	name("priorityClassName", spec.PriorityClassName, validation.NameIsDNSSubdomain)
	if c := spec.RuntimeClassName; c != nil {
		errs = append(errs, invalidEach(at.Child("runtimeClassName"), *c, validation.NameIsDNSSubdomain(*c, false))...)
	}
	return errs
}

func (s *specScope) validateHostnameOverride(at *field.Path) field.ErrorList {
	if s.spec.HostnameOverride == nil {
		return nil
	}
	const longest = 64
	name := *s.spec.HostnameOverride
	at = at.Child("hostnameOverride")
	var errs field.ErrorList
	if ptr.Deref(s.spec.SetHostnameAsFQDN, false) {
		errs = append(errs, field.Forbidden(at, "may not be specified when setHostnameAsFQDN is true"))
	}
	if s.spec.HostNetwork {
		errs = append(errs, field.Forbidden(at, "may not be specified when hostNetwork is true"))
	}
	if len(name) > longest {
		errs = append(errs, field.TooLong(at, "", longest))
	}
	return append(errs, ValidateDNS1123Subdomain(name, at)...)
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
			errs = append(errs, invalidEach(at.Child("searches").Index(i), name, utilvalidation.IsDNS1123SubdomainWithUnderscore(name))...)
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

func (s *specScope) validateOverhead(at *field.Path) field.ErrorList {
	if len(s.spec.Overhead) == 0 {
		return nil
	}
	return s.validateResources(&corev1.ResourceRequirements{Limits: s.spec.Overhead}, at)
}

func (s *specScope) validateClaims(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	s.claims = sets.New[string]()
	for i := range s.spec.ResourceClaims {
		c, claimAt := &s.spec.ResourceClaims[i], at.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(claimAt.Child("name"), ""))
		case s.claims.Has(c.Name):
			errs = append(errs, field.Duplicate(claimAt.Child("name"), c.Name))
		default:
			errs = append(errs, ValidateDNS1123Label(c.Name, claimAt.Child("name"))...)
			s.claims.Insert(c.Name)
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
