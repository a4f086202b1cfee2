package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pintle-io/pintle/runtime/endpoint"
)

// labels by which users take a Service or slice away from this proxy.
const (
	labelProxyName = "service.kubernetes.io/service-proxy-name"
	labelHeadless  = corev1.IsHeadlessService
)

// servicePort is one port of one Service in one address family, with all that
// its rules follow from.
type servicePort struct {
	namespace, name, port string // port: its name, else its number
	protocol              string // tcp, udp, sctp
	number                uint16
	nodePort              uint16
	clusterIP             netip.Addr
	externalIPs           []netip.Addr
	loadBalancerIPs       []netip.Addr
	sourceRanges          []netip.Prefix // of the load balancer; empty: everybody
	affinity              time.Duration  // 0: none
	internalLocal         bool
	externalLocal         bool

	cluster []endpoint.Endpoint // usable ones, in a fixed order
	local   []endpoint.Endpoint // the usable ones on this node
}

// id names the port in chains and sets.
func (p servicePort) id() string {
	return strings.Join([]string{p.namespace, p.name, p.protocol, p.port}, "/")
}

// place is where a node is; the zone may be unknown.
type place struct{ name, zone string }

// portsOf decides which ports of a Service a node serves in one family, in a fixed
// order. Headless and ExternalName Services have none.
func portsOf(node place, family discoveryv1.AddressType, svc *corev1.Service, list []*discoveryv1.EndpointSlice) []servicePort {
	clusterIP, ok := proxied(svc, family)
	if !ok {
		return nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s *discoveryv1.EndpointSlice) bool { return s.AddressType != family })
	var out []servicePort
	for _, port := range svc.Spec.Ports {
		p := frontend(svc, port, family)
		p.clusterIP = clusterIP
		all := endpoint.Of(node.name, port, list)
		p.cluster, p.local = all.Near(node.name, node.zone).Usable(), all.Local().Usable()
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b servicePort) int { return cmp.Compare(a.id(), b.id()) })
	return out
}

// proxied answers the Service's address in the family, if this proxy serves it.
func proxied(svc *corev1.Service, family discoveryv1.AddressType) (netip.Addr, bool) {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Labels[labelProxyName] != "" {
		return netip.Addr{}, false
	}
	if _, headless := svc.Labels[labelHeadless]; headless {
		return netip.Addr{}, false
	}
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	for _, s := range ips {
		if ip, err := netip.ParseAddr(s); err == nil && ofFamily(ip, family) {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

func ofFamily(ip netip.Addr, family discoveryv1.AddressType) bool {
	return ip.Is4() == (family == discoveryv1.AddressTypeIPv4)
}

// frontend is the part of the port that the Service alone decides.
func frontend(svc *corev1.Service, port corev1.ServicePort, family discoveryv1.AddressType) servicePort {
	p := servicePort{
		namespace: svc.Namespace, name: svc.Name, port: portLabel(port),
		protocol:    strings.ToLower(string(cmp.Or(port.Protocol, corev1.ProtocolTCP))),
		number:      uint16(port.Port),
		nodePort:    uint16(port.NodePort),
		externalIPs: addrs(svc.Spec.ExternalIPs, family),
	}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP {
			p.loadBalancerIPs = append(p.loadBalancerIPs, addrs([]string{in.IP}, family)...)
		}
	}
	for _, s := range svc.Spec.LoadBalancerSourceRanges {
		if r, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil && ofFamily(r.Addr(), family) {
			p.sourceRanges = append(p.sourceRanges, r.Masked())
		}
	}
	if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		p.affinity = affinityTimeout(svc.Spec.SessionAffinityConfig)
	}
	if t := svc.Spec.InternalTrafficPolicy; t != nil {
		p.internalLocal = *t == corev1.ServiceInternalTrafficPolicyLocal
	}
	p.externalLocal = svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	return p
}

func portLabel(port corev1.ServicePort) string {
	if port.Name != "" {
		return port.Name
	}
	return itoa(port.Port)
}

func affinityTimeout(c *corev1.SessionAffinityConfig) time.Duration {
	seconds := int32(corev1.DefaultClientIPServiceAffinitySeconds)
	if c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		seconds = *c.ClientIP.TimeoutSeconds
	}
	return time.Duration(seconds) * time.Second
}

func addrs(in []string, family discoveryv1.AddressType) []netip.Addr {
	var out []netip.Addr
	for _, s := range in {
		if ip, err := netip.ParseAddr(s); err == nil && ofFamily(ip, family) {
			out = append(out, ip)
		}
	}
	return out
}

// backends groups the slices by the namespace/name of their Service, in order of
// their own names.
func backends(list []*discoveryv1.EndpointSlice) map[string][]*discoveryv1.EndpointSlice {
	out := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range list {
		name := s.Labels[discoveryv1.LabelServiceName]
		_, headless := s.Labels[labelHeadless]
		if name == "" || headless || s.Labels[labelProxyName] != "" {
			continue
		}
		key := s.Namespace + "/" + name
		out[key] = append(out[key], s)
	}
	for _, of := range out {
		slices.SortFunc(of, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	}
	return out
}
