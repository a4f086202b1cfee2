package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// labels by which users take a Service or slice away from this proxy.
const (
	labelProxyName = "service.kubernetes.io/service-proxy-name"
	labelHeadless  = corev1.IsHeadlessService
)

// endpoint is one way into a backend.
type endpoint struct {
	addr  netip.AddrPort
	local bool // on this node
}

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

	cluster []endpoint // usable ones, in a fixed order
	local   []endpoint // the usable ones on this node
}

// id names the port in chains and sets.
func (p servicePort) id() string {
	return strings.Join([]string{p.namespace, p.name, p.protocol, p.port}, "/")
}

// portsOf decides which service ports a node serves in one family, in a fixed
// order. Headless and ExternalName Services have none.
func portsOf(node string, family discoveryv1.AddressType, services []*corev1.Service, slicesList []*discoveryv1.EndpointSlice) []servicePort {
	backends := backendsByService(family, slicesList)
	var out []servicePort
	for _, svc := range services {
		clusterIP, ok := proxied(svc, family)
		if !ok {
			continue
		}
		for _, port := range svc.Spec.Ports {
			p := frontend(svc, port, family)
			p.clusterIP = clusterIP
			all := endpointsOf(node, port, backends[svc.Namespace+"/"+svc.Name])
			p.cluster, p.local = usable(all, false), usable(all, true)
			out = append(out, p)
		}
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

// backendsByService groups the slices of a family by namespace/service.
func backendsByService(family discoveryv1.AddressType, list []*discoveryv1.EndpointSlice) map[string][]*discoveryv1.EndpointSlice {
	out := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range list {
		name := s.Labels[discoveryv1.LabelServiceName]
		_, headless := s.Labels[labelHeadless]
		if name == "" || headless || s.AddressType != family || s.Labels[labelProxyName] != "" {
			continue
		}
		key := s.Namespace + "/" + name
		out[key] = append(out[key], s)
	}
	return out
}

// candidate is an endpoint with what decides whether it may be used.
type candidate struct {
	endpoint
	ready, fallback bool // fallback: still serving while it terminates
}

// endpointsOf are all endpoints of a port, each address once, in a fixed order.
func endpointsOf(node string, port corev1.ServicePort, list []*discoveryv1.EndpointSlice) []candidate {
	byAddr := map[netip.AddrPort]candidate{}
	for _, s := range list {
		number, ok := slicePort(s, port)
		if !ok {
			continue
		}
		for _, ep := range s.Endpoints {
			c, ok := candidateOf(node, ep, number)
			if old, dup := byAddr[c.addr]; ok && (!dup || !old.ready) {
				byAddr[c.addr] = c
			}
		}
	}
	out := make([]candidate, 0, len(byAddr))
	for _, c := range byAddr {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b candidate) int { return a.addr.Compare(b.addr) })
	return out
}

func candidateOf(node string, ep discoveryv1.Endpoint, port uint16) (candidate, bool) {
	if len(ep.Addresses) == 0 {
		return candidate{}, false
	}
	ip, err := netip.ParseAddr(ep.Addresses[0])
	if err != nil {
		return candidate{}, false
	}
	ready := orDefault(ep.Conditions.Ready, true)
	serving := orDefault(ep.Conditions.Serving, ready)
	terminating := orDefault(ep.Conditions.Terminating, false)
	return candidate{
		endpoint: endpoint{addr: netip.AddrPortFrom(ip, port), local: ep.NodeName != nil && *ep.NodeName == node},
		ready:    ready,
		fallback: serving && terminating,
	}, true
}

// slicePort is the target of the Service's port in a slice, matched by name.
func slicePort(s *discoveryv1.EndpointSlice, port corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		name, proto := orDefault(p.Name, ""), orDefault(p.Protocol, corev1.ProtocolTCP)
		if name == port.Name && proto == cmp.Or(port.Protocol, corev1.ProtocolTCP) && p.Port != nil {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

// usable are the ready endpoints; only if there is none, those that terminate
// but still serve.
func usable(all []candidate, localOnly bool) []endpoint {
	var ready, fallback []endpoint
	for _, c := range all {
		switch {
		case localOnly && !c.local:
		case c.ready:
			ready = append(ready, c.endpoint)
		case c.fallback:
			fallback = append(fallback, c.endpoint)
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return fallback
}

func orDefault[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
