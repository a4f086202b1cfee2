package registry

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis/core"
)

// ranges are the cluster's service addresses, one range per family; the first family
// is that of services that ask for none.
type ranges []*addresses

func newRanges(cidrs []string) (ranges, error) {
	var out ranges
	for _, cidr := range cidrs {
		a, err := newAddresses(cidr)
		if err != nil {
			return nil, err
		}
		if out.of(a.family()) != nil {
			return nil, fmt.Errorf("service address ranges %s and %s are of one family", out[0].prefix, cidr)
		}
		out = append(out, a)
	}
	return out, nil
}

func (r ranges) of(family corev1.IPFamily) *addresses {
	for _, a := range r {
		if a.family() == family {
			return a
		}
	}
	return nil
}

// holding is the range of an address's family; nil if the cluster has none.
func (r ranges) holding(ip string) *addresses { return r.of(familyOf(ip)) }

func (a *addresses) family() corev1.IPFamily { return familyOf(a.prefix.Addr().String()) }

// familyOf is empty for what is no address.
func familyOf(ip string) corev1.IPFamily {
	addr, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		return ""
	case addr.Is4():
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// initFamilies settles which families the service has, and by which policy. Nothing
// goes from one stack to two, or back, unless ipFamilyPolicy says so.
func (g *grant) initFamilies(service, before *corev1.Service) error {
	spec := &service.Spec
	if spec.Type == corev1.ServiceTypeExternalName || before != nil && keepsPreference(spec, &before.Spec) {
		return nil
	}
	// What a headless service without selector stands for is not the cluster's to say:
	// it may have addresses of both families, also of those the cluster lacks.
	free := spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0
	if spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicySingleStack
		switch {
		case before != nil && before.Spec.IPFamilyPolicy != nil:
			policy = *before.Spec.IPFamilyPolicy
		case free:
			policy = corev1.IPFamilyPolicyRequireDualStack
		}
		spec.IPFamilyPolicy = &policy
	}
	single := *spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	errs := core.ValidateServiceAddresses(service, before)
	if len(errs) > 0 {
		return invalidService(service, errs)
	}
	if before != nil {
		errs = release(spec, &before.Spec, single)
	}
	errs = append(errs, inferFamilies(spec, g.alloc.ranges, single)...)
	if len(errs) == 0 && !free {
		errs = configured(spec, g.alloc.ranges)
	}
	if len(errs) > 0 {
		return invalidService(service, errs)
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{g.alloc.ranges[0].family()}
	}
	if !single && len(spec.IPFamilies) == 1 && (free || len(g.alloc.ranges) == 2) {
		other := corev1.IPv4Protocol
		if spec.IPFamilies[0] == other {
			other = corev1.IPv6Protocol
		}
		spec.IPFamilies = append(spec.IPFamilies, other)
	}
	return nil
}

var (
	policyPath   = field.NewPath("spec", "ipFamilyPolicy")
	familiesPath = field.NewPath("spec", "ipFamilies")
	addressPath  = field.NewPath("spec", "clusterIPs")
)

// keepsPreference: a service that prefers two stacks stays as it is when the cluster
// has become able to give them, or unable, since.
func keepsPreference(spec, before *corev1.ServiceSpec) bool {
	prefers := func(s *corev1.ServiceSpec) bool {
		return s.IPFamilyPolicy != nil && *s.IPFamilyPolicy == corev1.IPFamilyPolicyPreferDualStack
	}
	return prefers(spec) && prefers(before) && before.Type != corev1.ServiceTypeExternalName &&
		slices.Equal(spec.ClusterIPs, before.ClusterIPs) && slices.Equal(spec.IPFamilies, before.IPFamilies)
}

// release gives up the second stack for the policy SingleStack alone.
func release(spec, before *corev1.ServiceSpec, single bool) (errs field.ErrorList) {
	if single {
		if len(spec.ClusterIPs) > 1 && slices.Equal(spec.ClusterIPs, before.ClusterIPs) {
			spec.ClusterIPs = spec.ClusterIPs[:1]
		}
		if len(spec.IPFamilies) > 1 && slices.Equal(spec.IPFamilies, before.IPFamilies) {
			spec.IPFamilies = spec.IPFamilies[:1]
		}
		return nil
	}
	if n := len(spec.ClusterIPs); n > 0 && n < len(before.ClusterIPs) {
		errs = append(errs, field.Invalid(policyPath, spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP"))
	}
	if n := len(spec.IPFamilies); n > 0 && n < len(before.IPFamilies) {
		errs = append(errs, field.Invalid(policyPath, spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary IP family"))
	}
	return errs
}

// inferFamilies takes the families of addresses that were asked for.
func inferFamilies(spec *corev1.ServiceSpec, have ranges, single bool) (errs field.ErrorList) {
	if single && len(spec.ClusterIPs) == 2 {
		errs = append(errs, field.Invalid(policyPath, spec.IPFamilyPolicy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"))
	}
	if single && len(spec.IPFamilies) == 2 {
		errs = append(errs, field.Invalid(policyPath, spec.IPFamilyPolicy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"))
	}
	for i, ip := range spec.ClusterIPs {
		family := familyOf(ip)
		if family == "" || i < len(spec.IPFamilies) { // validation looks at both
			continue
		}
		if have.of(family) == nil {
			errs = append(errs, field.Invalid(addressPath.Index(i), spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", family)))
			continue
		}
		spec.IPFamilies = append(spec.IPFamilies, family)
	}
	return errs
}

// configured refuses what the cluster has no addresses for.
func configured(spec *corev1.ServiceSpec, have ranges) (errs field.ErrorList) {
	if *spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack && len(have) < 2 {
		errs = append(errs, field.Invalid(policyPath, *spec.IPFamilyPolicy, "this cluster is not configured for dual-stack services"))
	}
	for i, family := range spec.IPFamilies {
		if have.of(family) == nil {
			errs = append(errs, field.Invalid(familiesPath.Index(i), family, "not configured on this cluster"))
		}
	}
	return errs
}

// allocateIPs takes addresses for a service that needs some and lacks them, and marks
// for return what the service gives up. A changed address is left to validation,
// which refuses it, and so is an address for a service that had none.
func (g *grant) allocateIPs(service, before *corev1.Service) error {
	var had []string
	headless := service.Spec.ClusterIP == corev1.ClusterIPNone
	if before != nil {
		had = heldIPs(before)
		headless = headless || before.Spec.ClusterIP == corev1.ClusterIPNone
	}
	if needsClusterIP(service) && !headless {
		for i := len(had); i < len(service.Spec.IPFamilies) && i <= len(service.Spec.ClusterIPs); i++ {
			if err := g.takeIP(service, i); err != nil {
				return err
			}
		}
	}
	var now []string
	if needsClusterIP(service) { // else they are cleared from it later
		now = heldIPs(service)
	}
	for _, ip := range had {
		if !slices.Contains(now, ip) {
			g.returnedIPs = append(g.returnedIPs, ip)
		}
	}
	return nil
}
