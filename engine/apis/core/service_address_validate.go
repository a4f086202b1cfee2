package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// validateAddressesKept lets a service lose or gain a second address, and refuses
// another change of its addresses.
func validateAddressesKept(s, old *corev1.Service) field.ErrorList {
	if s.Spec.Type == corev1.ServiceTypeExternalName || old.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	is, was := isHeadless(&s.Spec), isHeadless(&old.Spec)
	var errs field.ErrorList
	if !is || !was {
		errs = validateIPsKept(&s.Spec, &old.Spec)
	}
	if !is && !was {
		errs = append(errs, validateFamiliesKept(&s.Spec, &old.Spec)...)
	}
	return errs
}

func validateIPsKept(spec, old *corev1.ServiceSpec) field.ErrorList {
	at := specPath.Child("clusterIPs")
	now, had := spec.ClusterIPs, old.ClusterIPs
	if len(now) == len(had) {
		return changed(at, now, had, now, func(i int) int { return i })
	}
	if len(had) > 0 && len(now) == 0 {
		return field.ErrorList{field.Invalid(at.Index(0), now, "primary clusterIP can not be unset")}
	}
	var errs field.ErrorList
	if len(had) > 0 && now[0] != had[0] {
		errs = append(errs, field.Invalid(at.Index(0), now, onceSet))
	}
	if len(had) > 1 && len(now) == 1 {
		errs = append(errs, validateSingle(spec, "clusterIP")...)
	}
	return errs
}

// validateFamiliesKept names the addresses, not the families, where the first of a
// different number of families changes, as upstream does.
func validateFamiliesKept(spec, old *corev1.ServiceSpec) field.ErrorList {
	at := specPath.Child("ipFamilies")
	now, had := spec.IPFamilies, old.IPFamilies
	if len(now) == len(had) {
		return changed(at, now, had, now, func(int) int { return 0 })
	}
	var errs field.ErrorList
	if len(now) < len(had) && len(spec.ClusterIPs) == 0 {
		errs = append(errs, field.Invalid(at.Index(0), now, "primary ipFamily can not be unset"))
	}
	if len(had) > 0 && len(now) > 0 && now[0] != had[0] {
		errs = append(errs, field.Invalid(at.Index(0), spec.ClusterIPs, onceSet))
	}
	if len(now) < len(had) && len(now) == 1 {
		errs = append(errs, validateSingle(spec, "ipFamily")...)
	}
	return errs
}

// changed is an error for each element that differs, at the index that place gives.
func changed[T comparable](at *field.Path, now, had []T, shown any, place func(int) int) field.ErrorList {
	var errs field.ErrorList
	for i := range now {
		if now[i] != had[i] {
			errs = append(errs, field.Invalid(at.Index(place(i)), shown, onceSet))
		}
	}
	return errs
}

func validateSingle(spec *corev1.ServiceSpec, what string) field.ErrorList {
	if p := spec.IPFamilyPolicy; p != nil && *p == corev1.IPFamilyPolicySingleStack {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath.Child("ipFamilyPolicy"), spec.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary "+what)}
}

// ValidateServiceAddresses checks cluster addresses and families against each other.
// It is exported for the allocator, which acts only on what is sound; old is nil on
// create.
func ValidateServiceAddresses(s, old *corev1.Service) field.ErrorList {
	spec := &s.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	ipsAt, familiesAt := specPath.Child("clusterIPs"), specPath.Child("ipFamilies")
	var errs field.ErrorList
	switch {
	case spec.ClusterIP == "" && len(spec.ClusterIPs) > 0:
		errs = append(errs, field.Invalid(ipsAt, spec.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	case spec.ClusterIP != "" && len(spec.ClusterIPs) == 0:
		errs = append(errs, field.Required(ipsAt, ""))
	case len(spec.ClusterIPs) > 0 && spec.ClusterIPs[0] != spec.ClusterIP:
		errs = append(errs, field.Invalid(ipsAt, spec.ClusterIPs, "first value must match `clusterIP`"))
	}
	seen := sets.New[corev1.IPFamily]()
	for i, f := range spec.IPFamilies {
		errs = append(errs, supported(f, familiesAt.Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(familiesAt.Index(i), f))
		}
		seen.Insert(f)
	}
	if p := spec.IPFamilyPolicy; p != nil {
		errs = append(errs, supported(*p, specPath.Child("ipFamilyPolicy"), corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	}
	var had []string
	if old != nil {
		had = old.Spec.ClusterIPs
	}
	return append(errs, validateClusterIPs(spec, had, ipsAt)...)
}

func validateClusterIPs(spec *corev1.ServiceSpec, had []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	ips, sound := spec.ClusterIPs, true
	for i, ip := range ips {
		var bad field.ErrorList
		if i > 0 || ip != corev1.ClusterIPNone {
			bad = utilvalidation.IsValidIPForLegacyField(at.Index(i), ip, true, had)
		} else if len(ips) > 1 {
			bad = field.ErrorList{field.Invalid(at, ips, "'None' must be the first and only value")}
		}
		sound = sound && len(bad) == 0
		errs = append(errs, bad...)
	}
	if len(ips) > 2 {
		errs = append(errs, field.Invalid(at, ips, "may only hold up to 2 values"))
	}
	if !sound {
		return errs
	}
	if len(ips) > 1 {
		if dual, err := netutils.IsDualStackIPStrings(ips); err == nil && !dual {
			errs = append(errs, field.Invalid(at, ips, "may specify no more than one IP for each IP family"))
		}
	}
	if isHeadless(spec) {
		return errs
	}
	for i := range min(len(ips), len(spec.IPFamilies)) {
		f := spec.IPFamilies[i]
		if f == corev1.IPv4Protocol && isIPv6(ips[i]) || f == corev1.IPv6Protocol && !isIPv6(ips[i]) {
			errs = append(errs, field.Invalid(at.Index(i), ips[i], fmt.Sprintf("expected an %v value as indicated by `ipFamilies[%v]`", f, i)))
		}
	}
	return errs
}
