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
	onlyForLoadBalancers = "may only be used when `type` is 'LoadBalancer'"
	onceSet              = "may not change once set"
)

func validateServiceCreate(_ context.Context, s *corev1.Service) field.ErrorList {
	return append(apis.ValidateMeta(&s.ObjectMeta, true, validation.NameIsDNSLabel, metadata), validateService(s, nil)...)
}

func validateServiceUpdate(_ context.Context, s, old *corev1.Service) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateAddressesKept(s, old)...)
	errs = append(errs, validateLoadBalancerClass(&s.Spec, &old.Spec)...)
	if checksHealth(old) && checksHealth(s) && s.Spec.HealthCheckNodePort != old.Spec.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(specPath.Child("healthCheckNodePort"), "field is immutable"))
	}
	return append(errs, validateService(s, old)...)
}

func samePtr(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// validateService checks what holds on create and update; old is nil on create. What
// the old service had in an older notation may stay.
func validateService(s, old *corev1.Service) field.ErrorList {
	spec, was := &s.Spec, &corev1.ServiceSpec{}
	if old != nil {
		was = &old.Spec
	}
	errs := validateTopologyAnnotations(s.Annotations)
	headless := isHeadless(spec)
	if len(spec.Ports) == 0 && !headless && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(specPath.Child("ports"), ""))
	}
	errs = append(errs, validateServiceType(spec, headless)...)
	names := sets.New[string]()
	for i := range spec.Ports {
		errs = append(errs, validateServicePort(&spec.Ports[i], len(spec.Ports) > 1, names, specPath.Child("ports").Index(i))...)
	}
	errs = append(errs, metavalidation.ValidateLabels(spec.Selector, specPath.Child("selector"))...)
	errs = append(errs, validateSessionAffinity(spec)...)
	errs = append(errs, ValidateServiceAddresses(s, old)...)
	for i, ip := range spec.ExternalIPs {
		at := specPath.Child("externalIPs").Index(i)
		if bad := utilvalidation.IsValidIPForLegacyField(at, ip, true, was.ExternalIPs); len(bad) > 0 {
			errs = append(errs, bad...)
		} else {
			errs = append(errs, validateNotSpecial(netutils.ParseIPSloppy(ip), ip, at)...)
		}
	}
	errs = append(errs, oneOf(spec.Type, specPath.Child("type"), corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	errs = append(errs, validatePortNumbers(spec)...)
	errs = append(errs, validateSourceRanges(s, old)...)
	lb := spec.Type == corev1.ServiceTypeLoadBalancer
	if !lb && spec.AllocateLoadBalancerNodePorts != nil {
		errs = append(errs, field.Forbidden(specPath.Child("allocateLoadBalancerNodePorts"), onlyForLoadBalancers))
	}
	if lb && spec.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	errs = append(errs, validateLoadBalancerClass(spec, nil)...)
	return append(errs, validateTrafficPolicies(s)...)
}

// validateTopologyAnnotations: the new and the old name of one annotation agree.
func validateTopologyAnnotations(annotations map[string]string) field.ErrorList {
	hints, old := annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	mode, is := annotations[corev1.AnnotationTopologyMode]
	if !old || !is || hints == mode {
		return nil
	}
	return field.ErrorList{field.Invalid(metadata.Child("annotations").Key(corev1.AnnotationTopologyMode), mode,
		fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints))}
}

func isHeadless(spec *corev1.ServiceSpec) bool {
	return len(spec.ClusterIPs) == 1 && spec.ClusterIPs[0] == corev1.ClusterIPNone
}

func validateServiceType(spec *corev1.ServiceSpec, headless bool) field.ErrorList {
	var errs field.ErrorList
	switch spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if headless {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), spec.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", spec.Type)))
		}
	case corev1.ServiceTypeExternalName:
		const never = "may not be set for ExternalName services"
		if len(spec.ClusterIPs) > 0 {
			errs = append(errs, field.Forbidden(specPath.Child("clusterIPs"), never))
		}
		if len(spec.IPFamilies) > 0 {
			errs = append(errs, field.Forbidden(specPath.Child("ipFamilies"), never))
		}
		if spec.IPFamilyPolicy != nil {
			errs = append(errs, field.Forbidden(specPath.Child("ipFamilyPolicy"), never))
		}
		if name := strings.TrimSuffix(spec.ExternalName, "."); name != "" {
			errs = append(errs, ValidateDNS1123Subdomain(name, specPath.Child("externalName"))...)
		} else {
			errs = append(errs, field.Required(specPath.Child("externalName"), ""))
		}
	}
	return errs
}

// validatePortNumbers: no two ports of a protocol share a number or a node port.
func validatePortNumbers(spec *corev1.ServiceSpec) field.ErrorList {
	at := specPath.Child("ports")
	var unused, doubles, errs field.ErrorList
	type key struct {
		protocol corev1.Protocol
		number   int32
	}
	ports, nodePorts := sets.New[key](), sets.New[key]()
	for i := range spec.Ports {
		p, portAt := &spec.Ports[i], at.Index(i)
		if k := (key{p.Protocol, p.Port}); ports.Has(k) {
			errs = append(errs, field.Duplicate(portAt, corev1.ServicePort{Protocol: p.Protocol, Port: p.Port}))
		} else {
			ports.Insert(k)
		}
		if p.NodePort == 0 {
			continue
		}
		if spec.Type == corev1.ServiceTypeClusterIP {
			unused = append(unused, field.Forbidden(portAt.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		if k := (key{p.Protocol, p.NodePort}); nodePorts.Has(k) {
			doubles = append(doubles, field.Duplicate(portAt.Child("nodePort"), p.NodePort))
		} else {
			nodePorts.Insert(k)
		}
	}
	return slices.Concat(unused, doubles, errs)
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

// validateSourceRanges checks the ranges of the field, or else those of the annotation
// it replaced.
func validateSourceRanges(s, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	lb := s.Spec.Type == corev1.ServiceTypeLoadBalancer
	text, annotated := s.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]
	at := specPath.Child("LoadBalancerSourceRanges") // written so by upstream
	if len(s.Spec.LoadBalancerSourceRanges) == 0 {
		if !annotated {
			return nil
		}
		at = metadata.Child("annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
	}
	if !lb {
		errs = append(errs, field.Forbidden(at, onlyForLoadBalancers))
	}
	var had []string
	if old != nil {
		for _, cidr := range old.Spec.LoadBalancerSourceRanges {
			had = append(had, strings.TrimSpace(cidr))
		}
	}
	for i, cidr := range s.Spec.LoadBalancerSourceRanges {
		errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(at.Index(i), strings.TrimSpace(cidr), true, had)...)
	}
	if text = strings.TrimSpace(text); len(s.Spec.LoadBalancerSourceRanges) > 0 || text == "" ||
		old != nil && text == strings.TrimSpace(old.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]) {
		return errs
	}
	for cidr := range strings.SplitSeq(text, ",") {
		errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(at, strings.TrimSpace(cidr), true, nil)...)
	}
	return errs
}

// validateLoadBalancerClass checks the class, and with an old service that a load
// balancer keeps its class.
func validateLoadBalancerClass(spec, old *corev1.ServiceSpec) field.ErrorList {
	at, class := specPath.Child("loadBalancerClass"), spec.LoadBalancerClass
	var errs field.ErrorList
	lb := spec.Type == corev1.ServiceTypeLoadBalancer
	if old != nil && lb && old.Type == corev1.ServiceTypeLoadBalancer && !samePtr(old.LoadBalancerClass, class) {
		errs = append(errs, field.Invalid(at, class, onceSet))
	}
	switch {
	case class == nil:
	case lb:
		errs = append(errs, ValidateQualifiedName(*class, at)...)
	default:
		errs = append(errs, field.Forbidden(at, onlyForLoadBalancers))
	}
	return errs
}

func validateTrafficPolicies(s *corev1.Service) field.ErrorList {
	spec := &s.Spec
	var errs field.ErrorList
	at := specPath.Child("externalTrafficPolicy")
	switch p := spec.ExternalTrafficPolicy; {
	case reachable(spec):
		errs = oneOf(p, at, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)
	case p != "":
		errs = append(errs, field.Invalid(at, p, "may only be set for externally-accessible services"))
	}
	at = specPath.Child("healthCheckNodePort")
	switch port := spec.HealthCheckNodePort; {
	case checksHealth(s) && port == 0:
		errs = append(errs, field.Required(at, ""))
	case checksHealth(s):
		errs = append(errs, validatePort(port, at)...)
	case port != 0:
		errs = append(errs, field.Invalid(at, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	}
	at = specPath.Child("internalTrafficPolicy")
	if p := spec.InternalTrafficPolicy; p != nil {
		errs = append(errs, supported(*p, at, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	} else if hasNodePorts(s) || spec.Type == corev1.ServiceTypeClusterIP {
		errs = append(errs, field.Required(at, ""))
	}
	known := []string{corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode}
	if d := spec.TrafficDistribution; d != nil && !slices.Contains(known, *d) {
		errs = append(errs, field.NotSupported(specPath.Child("trafficDistribution"), *d, known))
	}
	return errs
}

func validateServiceStatusUpdate(_ context.Context, s, old *corev1.Service) field.ErrorList {
	return append(apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata), validateLoadBalancerStatus(s, old)...)
}

func validateLoadBalancerStatus(s, old *corev1.Service) field.ErrorList {
	at := field.NewPath("status", "loadBalancer", "ingress")
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer && len(s.Status.LoadBalancer.Ingress) > 0 {
		return field.ErrorList{field.Forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")}
	}
	var had []string
	for _, in := range old.Status.LoadBalancer.Ingress {
		had = append(had, in.IP)
	}
	var errs field.ErrorList
	for i, in := range s.Status.LoadBalancer.Ingress {
		ipAt, modeAt, hostAt := at.Index(i).Child("ip"), at.Index(i).Child("ipMode"), at.Index(i).Child("hostname")
		if in.IP != "" {
			errs = append(errs, utilvalidation.IsValidIPForLegacyField(ipAt, in.IP, true, had)...)
		}
		switch {
		case in.IPMode == nil:
			if in.IP != "" {
				errs = append(errs, field.Required(modeAt, "must be specified when `ip` is set"))
			}
		case in.IP == "":
			errs = append(errs, field.Forbidden(modeAt, "may not be specified when `ip` is not set"))
		default:
			errs = append(errs, supported(*in.IPMode, modeAt, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
		}
		if in.Hostname != "" {
			errs = append(errs, ValidateDNS1123Subdomain(in.Hostname, hostAt)...)
			if netutils.ParseIPSloppy(in.Hostname) != nil {
				errs = append(errs, field.Invalid(hostAt, in.Hostname, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}
