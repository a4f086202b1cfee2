package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	kubeletPort          = 10250
	onlyForLoadBalancers = "may only be used when `type` is 'LoadBalancer'"
	onceSet              = "may not change once set"
)

func validateServiceCreate(_ context.Context, s *corev1.Service) field.ErrorList {
	return validateService(s)
}

func validateServiceUpdate(_ context.Context, s, old *corev1.Service) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateAddressesKept(s, old)...)
	wasLB, isLB := old.Spec.Type == corev1.ServiceTypeLoadBalancer, s.Spec.Type == corev1.ServiceTypeLoadBalancer
	if wasLB && isLB && !samePtr(old.Spec.LoadBalancerClass, s.Spec.LoadBalancerClass) {
		errs = append(errs, field.Invalid(specPath.Child("loadBalancerClass"), s.Spec.LoadBalancerClass, onceSet))
	}
	return append(errs, validateService(s)...)
}

func samePtr(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// validateAddressesKept lets a service lose or gain a second address, and refuses
// another change of its addresses.
func validateAddressesKept(s, old *corev1.Service) field.ErrorList {
	if s.Spec.Type == corev1.ServiceTypeExternalName || old.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var errs field.ErrorList
	if len(old.Spec.ClusterIPs) > 0 && (len(s.Spec.ClusterIPs) == 0 || s.Spec.ClusterIPs[0] != old.Spec.ClusterIPs[0]) {
		errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), s.Spec.ClusterIPs, onceSet))
	}
	if len(old.Spec.IPFamilies) > 0 && len(s.Spec.IPFamilies) > 0 && s.Spec.IPFamilies[0] != old.Spec.IPFamilies[0] {
		errs = append(errs, field.Invalid(specPath.Child("ipFamilies").Index(0), s.Spec.IPFamilies, onceSet))
	}
	return errs
}

func validateService(s *corev1.Service) field.ErrorList {
	spec := &s.Spec
	errs := apis.ValidateMeta(&s.ObjectMeta, true, validation.NameIsDNSLabel, metadata)
	headless := isHeadless(spec)
	if len(spec.Ports) == 0 && !headless && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(specPath.Child("ports"), ""))
	}
	errs = append(errs, validateServiceType(spec, headless)...)
	errs = append(errs, validateServicePorts(spec, specPath.Child("ports"))...)
	errs = append(errs, metavalidation.ValidateLabels(spec.Selector, specPath.Child("selector"))...)
	errs = append(errs, validateSessionAffinity(spec)...)
	for i, ip := range spec.ExternalIPs {
		at := specPath.Child("externalIPs").Index(i)
		if bad := utilvalidation.IsValidIPForLegacyField(at, ip, true, nil); len(bad) > 0 {
			errs = append(errs, bad...)
		} else {
			errs = append(errs, validateNotSpecial(netutils.ParseIPSloppy(ip), ip, at)...)
		}
	}
	errs = append(errs, oneOf(spec.Type, specPath.Child("type"), corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	errs = append(errs, validateLoadBalancerFields(spec)...)
	errs = append(errs, validateTrafficPolicies(spec)...)
	return append(errs, validateServiceAddresses(spec)...)
}

func isHeadless(spec *corev1.ServiceSpec) bool {
	return len(spec.ClusterIPs) == 1 && spec.ClusterIPs[0] == corev1.ClusterIPNone || spec.ClusterIP == corev1.ClusterIPNone
}

func validateServiceType(spec *corev1.ServiceSpec, headless bool) field.ErrorList {
	var errs field.ErrorList
	switch spec.Type {
	case corev1.ServiceTypeLoadBalancer:
		for i, p := range spec.Ports {
			if p.Port == kubeletPort {
				errs = append(errs, field.Invalid(specPath.Child("ports").Index(i), p.Port, fmt.Sprintf("may not expose port %v externally since it is used by kubelet", kubeletPort)))
			}
		}
		if headless {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), spec.ClusterIP, "may not be set to 'None' for LoadBalancer services"))
		}
	case corev1.ServiceTypeNodePort:
		if headless {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), spec.ClusterIP, "may not be set to 'None' for NodePort services"))
		}
	case corev1.ServiceTypeExternalName:
		if name := strings.TrimSuffix(spec.ExternalName, "."); name != "" {
			errs = append(errs, ValidateDNS1123Subdomain(name, specPath.Child("externalName"))...)
		} else {
			errs = append(errs, field.Required(specPath.Child("externalName"), ""))
		}
	}
	return errs
}

func validateServicePorts(spec *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	type key struct {
		protocol corev1.Protocol
		number   int32
	}
	ports, nodePorts := sets.New[key](), sets.New[key]()
	for i := range spec.Ports {
		p, portAt := &spec.Ports[i], at.Index(i)
		errs = append(errs, validateServicePort(p, len(spec.Ports) > 1, names, portAt)...)
		k := key{p.Protocol, p.Port}
		if ports.Has(k) {
			errs = append(errs, field.Duplicate(portAt, corev1.ServicePort{Protocol: p.Protocol, Port: p.Port}))
		}
		ports.Insert(k)
		if p.NodePort == 0 {
			continue
		}
		if spec.Type == corev1.ServiceTypeClusterIP || spec.Type == corev1.ServiceTypeExternalName {
			errs = append(errs, field.Forbidden(portAt.Child("nodePort"), "may not be used when `type` is '"+string(spec.Type)+"'"))
			continue
		}
		k = key{p.Protocol, p.NodePort}
		if nodePorts.Has(k) {
			errs = append(errs, field.Duplicate(portAt.Child("nodePort"), p.NodePort))
		}
		nodePorts.Insert(k)
	}
	return errs
}

func validateServicePort(p *corev1.ServicePort, nameRequired bool, names sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Name == "" {
		if nameRequired {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
	} else {
		errs = append(errs, ValidateDNS1123Label(p.Name, at.Child("name"))...)
		if names.Has(p.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
		}
		names.Insert(p.Name)
	}
	errs = append(errs, validatePort(p.Port, at.Child("port"))...)
	errs = append(errs, oneOf(p.Protocol, at.Child("protocol"), Protocols...)...)
	errs = append(errs, validatePortNumOrName(p.TargetPort, at.Child("targetPort"))...)
	if p.AppProtocol != nil {
		errs = append(errs, ValidateQualifiedName(*p.AppProtocol, at.Child("appProtocol"))...)
	}
	return errs
}

func validateSessionAffinity(spec *corev1.ServiceSpec) field.ErrorList {
	const maxTimeout = 86400
	at := specPath.Child("sessionAffinityConfig")
	errs := oneOf(spec.SessionAffinity, specPath.Child("sessionAffinity"), corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	c := spec.SessionAffinityConfig
	switch {
	case spec.SessionAffinity == corev1.ServiceAffinityNone && c != nil:
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("must not be set when session affinity is %s", corev1.ServiceAffinityNone)))
	case spec.SessionAffinity != corev1.ServiceAffinityClientIP:
	case c == nil:
		errs = append(errs, field.Required(at, fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
	case c.ClientIP == nil:
		errs = append(errs, field.Required(at.Child("clientIP"), fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
	case c.ClientIP.TimeoutSeconds == nil:
		errs = append(errs, field.Required(at.Child("clientIP", "timeoutSeconds"), fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
	case *c.ClientIP.TimeoutSeconds <= 0 || *c.ClientIP.TimeoutSeconds > maxTimeout:
		errs = append(errs, field.Invalid(at.Child("clientIP", "timeoutSeconds"), *c.ClientIP.TimeoutSeconds, fmt.Sprintf("must be greater than 0 and less than %d", maxTimeout)))
	}
	return errs
}

func validateLoadBalancerFields(spec *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	lb := spec.Type == corev1.ServiceTypeLoadBalancer
	rangesAt := specPath.Child("loadBalancerSourceRanges")
	if len(spec.LoadBalancerSourceRanges) > 0 {
		if !lb {
			errs = append(errs, field.Forbidden(rangesAt, onlyForLoadBalancers))
		}
		for i, cidr := range spec.LoadBalancerSourceRanges {
			errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(rangesAt.Index(i), strings.TrimSpace(cidr), false, nil)...)
		}
	}
	portsAt := specPath.Child("allocateLoadBalancerNodePorts")
	if lb && spec.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(portsAt, ""))
	} else if !lb && spec.AllocateLoadBalancerNodePorts != nil {
		errs = append(errs, field.Forbidden(portsAt, onlyForLoadBalancers))
	}
	if c := spec.LoadBalancerClass; c != nil {
		if !lb {
			errs = append(errs, field.Forbidden(specPath.Child("loadBalancerClass"), onlyForLoadBalancers))
		}
		errs = append(errs, ValidateQualifiedName(*c, specPath.Child("loadBalancerClass"))...)
	}
	return errs
}

func validateTrafficPolicies(spec *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	external := spec.Type == corev1.ServiceTypeLoadBalancer || spec.Type == corev1.ServiceTypeNodePort ||
		spec.Type == corev1.ServiceTypeClusterIP && len(spec.ExternalIPs) > 0
	at := specPath.Child("externalTrafficPolicy")
	switch p := spec.ExternalTrafficPolicy; {
	case !external && p != "":
		errs = append(errs, field.Invalid(at, p, "may only be set for externally-accessible services"))
	case external && p == "":
		errs = append(errs, field.Required(at, ""))
	case external:
		errs = append(errs, oneOf(p, at, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	if port := spec.HealthCheckNodePort; port != 0 {
		if spec.Type != corev1.ServiceTypeLoadBalancer || spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
			errs = append(errs, field.Invalid(specPath.Child("healthCheckNodePort"), port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
		} else {
			errs = append(errs, validatePort(port, specPath.Child("healthCheckNodePort"))...)
		}
	}
	if p := spec.InternalTrafficPolicy; p == nil {
		if spec.Type != corev1.ServiceTypeExternalName {
			errs = append(errs, field.Required(specPath.Child("internalTrafficPolicy"), ""))
		}
	} else {
		errs = append(errs, oneOf(*p, specPath.Child("internalTrafficPolicy"), corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	}
	known := []string{corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode}
	if d := spec.TrafficDistribution; d != nil && !slices.Contains(known, *d) {
		errs = append(errs, field.NotSupported(specPath.Child("trafficDistribution"), *d, known))
	}
	return errs
}

// validateServiceAddresses checks the cluster addresses against the families.
func validateServiceAddresses(spec *corev1.ServiceSpec) field.ErrorList {
	ipAt, ipsAt, familiesAt := specPath.Child("clusterIP"), specPath.Child("clusterIPs"), specPath.Child("ipFamilies")
	var errs field.ErrorList
	if spec.Type == corev1.ServiceTypeExternalName {
		if len(spec.ClusterIPs) > 0 || spec.ClusterIP != "" && spec.ClusterIP != corev1.ClusterIPNone {
			errs = append(errs, field.Forbidden(ipsAt, "may not be set for ExternalName services"))
		}
		if len(spec.IPFamilies) > 0 {
			errs = append(errs, field.Forbidden(familiesAt, "may not be set for ExternalName services"))
		}
		if spec.IPFamilyPolicy != nil {
			errs = append(errs, field.Forbidden(specPath.Child("ipFamilyPolicy"), "may not be set for ExternalName services"))
		}
		return errs
	}
	if spec.ClusterIP == "" && len(spec.ClusterIPs) > 0 {
		errs = append(errs, field.Invalid(ipsAt, spec.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	} else if len(spec.ClusterIPs) > 0 && spec.ClusterIPs[0] != spec.ClusterIP {
		errs = append(errs, field.Invalid(ipAt, spec.ClusterIP, "must be equal to `clusterIPs[0]`"))
	}
	if n := len(spec.IPFamilies); n > 2 {
		errs = append(errs, field.Invalid(familiesAt, spec.IPFamilies, "may only hold up to 2 values"))
	}
	seen := sets.New[corev1.IPFamily]()
	for i, f := range spec.IPFamilies {
		errs = append(errs, oneOf(f, familiesAt.Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(familiesAt.Index(i), f))
		}
		seen.Insert(f)
	}
	if p := spec.IPFamilyPolicy; p != nil {
		errs = append(errs, oneOf(*p, specPath.Child("ipFamilyPolicy"), corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	}
	return append(errs, validateClusterIPs(spec, ipsAt)...)
}

func validateClusterIPs(spec *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	ips := spec.ClusterIPs
	if len(ips) > 2 {
		errs = append(errs, field.Invalid(at, ips, "may only hold up to 2 values"))
	}
	for i, ip := range ips {
		if ip == corev1.ClusterIPNone {
			if len(ips) > 1 {
				errs = append(errs, field.Invalid(at, ips, "'None' must be the first and only value"))
			}
			continue
		}
		if bad := utilvalidation.IsValidIPForLegacyField(at.Index(i), ip, true, nil); len(bad) > 0 {
			errs = append(errs, bad...)
			continue
		}
		if i >= len(spec.IPFamilies) {
			continue
		}
		if isIPv6(ip) != (spec.IPFamilies[i] == corev1.IPv6Protocol) {
			errs = append(errs, field.Invalid(at.Index(i), ip, fmt.Sprintf("expected an %v value as indicated by `ipFamilies[%v]`", spec.IPFamilies[i], i)))
		}
	}
	if len(ips) == 2 {
		if dual, err := netutils.IsDualStackIPStrings(ips); err == nil && !dual {
			errs = append(errs, field.Invalid(at, ips, "may specify no more than one IP for each IP family"))
		}
	}
	return errs
}

func validateServiceStatusUpdate(_ context.Context, s, old *corev1.Service) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status", "loadBalancer", "ingress")
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer && len(s.Status.LoadBalancer.Ingress) > 0 {
		errs = append(errs, field.Forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'"))
	}
	for i, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			errs = append(errs, utilvalidation.IsValidIPForLegacyField(at.Index(i).Child("ip"), in.IP, false, nil)...)
		}
		if in.IP == "" && in.IPMode != nil {
			errs = append(errs, field.Forbidden(at.Index(i).Child("ipMode"), "may not be specified when `ip` is not set"))
		}
		if in.Hostname != "" {
			errs = append(errs, ValidateDNS1123Subdomain(in.Hostname, at.Index(i).Child("hostname"))...)
		}
	}
	return errs
}
