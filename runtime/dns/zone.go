package dns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// ttl of every record, in seconds: short, since endpoints come and go.
const ttl = 5

// specVersion of the service discovery that is served.
const specVersion = "1.1.0"

// maxAliases is how many ExternalNames that lead to each other are followed.
const maxAliases = 8

// view is what the zone is made of. Objects must not be changed.
type view interface {
	namespaceExists(name string) bool
	service(namespace, name string) *corev1.Service
	slices(namespace, service string) []*discoveryv1.EndpointSlice
	servicesAt(ip netip.Addr) []*corev1.Service
	slicesAt(ip netip.Addr) []*discoveryv1.EndpointSlice
}

// reply is what the zone says to a question.
type reply struct {
	exists bool // the name exists, maybe without records of the type
	answer []dns.RR
	extra  []dns.RR
	// alias is the target of a CNAME in answer that the zone does not hold.
	alias string
}

// zone decides names below one domain.
type zone struct {
	domain string // fully qualified, lower case: "cluster.local."
	server netip.Addr
	view   view
	depth  int // aliases followed so far
}

// holds reports whether the name is this zone's to answer.
func (z zone) holds(name string) bool { return dns.IsSubDomain(z.domain, strings.ToLower(name)) }

// answer decides a question about a name below the domain. Records carry the
// name as it was asked.
func (z zone) answer(q dns.Question) reply {
	name := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(q.Name), z.domain), ".")
	if name == "" {
		return z.apex(q)
	}
	labels := strings.Split(name, ".")
	rest, kind := labels[:len(labels)-1], labels[len(labels)-1]
	switch {
	case kind == "svc":
		return z.inServices(q, rest)
	case kind == "pod":
		return z.inPods(q, rest)
	case name == "dns-version":
		return z.typed(q, dns.TypeTXT, &dns.TXT{Txt: []string{specVersion}})
	case name == "ns.dns":
		return z.addresses(q, []netip.Addr{z.server})
	case name == "dns":
		return reply{exists: true}
	}
	return reply{}
}

func (z zone) apex(q dns.Question) reply {
	if q.Qtype == dns.TypeNS {
		r := z.typed(q, dns.TypeNS, &dns.NS{Ns: "ns.dns." + z.domain})
		r.extra = z.addresses(dns.Question{Name: "ns.dns." + z.domain, Qtype: dns.TypeA}, []netip.Addr{z.server}).answer
		return r
	}
	if q.Qtype == dns.TypeSOA {
		return reply{exists: true, answer: []dns.RR{z.soa(q.Name)}}
	}
	return reply{exists: true}
}

// soa is the record that tells how long an absence may be believed.
func (z zone) soa(name string) dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  "ns.dns." + z.domain, Mbox: "hostmaster." + z.domain,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
	}
}

// inPods answers a-b-c-d.namespace.pod: the address in the name, if the
// namespace exists.
func (z zone) inPods(q dns.Question, labels []string) reply {
	switch len(labels) {
	case 0:
		return reply{exists: true}
	case 1:
		return reply{exists: z.view.namespaceExists(labels[0])}
	case 2:
		ip, ok := undash(labels[0])
		if !ok || !z.view.namespaceExists(labels[1]) {
			return reply{}
		}
		return z.addresses(q, []netip.Addr{ip})
	}
	return reply{}
}

// inServices answers what is below svc: [namespace], [service namespace],
// [endpoint service namespace], [_port _protocol service namespace].
func (z zone) inServices(q dns.Question, labels []string) reply {
	switch len(labels) {
	case 0:
		return reply{exists: true}
	case 1:
		return reply{exists: z.view.namespaceExists(labels[0])}
	}
	namespace, name := labels[len(labels)-1], labels[len(labels)-2]
	svc := z.view.service(namespace, name)
	if svc == nil || !z.view.namespaceExists(namespace) {
		return reply{}
	}
	switch prefix := labels[:len(labels)-2]; {
	case len(prefix) == 0:
		return z.ofService(q, svc)
	case len(prefix) == 1 && strings.HasPrefix(prefix[0], "_"):
		return reply{exists: len(z.targets(svc, "", prefix[0][1:])) > 0}
	case len(prefix) == 1:
		return z.ofEndpoint(q, svc, prefix[0])
	case len(prefix) == 2 && strings.HasPrefix(prefix[0], "_") && strings.HasPrefix(prefix[1], "_"):
		return z.srv(q, z.targets(svc, prefix[0][1:], prefix[1][1:]))
	}
	return reply{}
}

// ofService answers the Service's own name.
func (z zone) ofService(q dns.Question, svc *corev1.Service) reply {
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return z.external(q, svc)
	}
	if q.Qtype == dns.TypeSRV {
		return z.srv(q, z.targets(svc, "", ""))
	}
	if headless(svc) {
		var ips []netip.Addr
		for _, ep := range z.endpoints(svc) {
			ips = append(ips, ep.ip)
		}
		return z.addresses(q, ips) // without endpoints the name does not exist
	}
	return z.addresses(q, clusterIPs(svc))
}

// external is a CNAME; inside our domain the target's records come along.
func (z zone) external(q dns.Question, svc *corev1.Service) reply {
	target := dns.Fqdn(svc.Spec.ExternalName)
	r := reply{exists: true, answer: []dns.RR{&dns.CNAME{Hdr: header(q.Name, dns.TypeCNAME), Target: target}}}
	switch {
	case q.Qtype != dns.TypeA && q.Qtype != dns.TypeAAAA:
	case !z.holds(target):
		r.alias = target
	case z.depth < maxAliases: // they may lead round in a circle
		z.depth++
		next := z.answer(dns.Question{Name: target, Qtype: q.Qtype, Qclass: q.Qclass})
		r.answer, r.alias = append(r.answer, next.answer...), next.alias
	}
	return r
}

// ofEndpoint answers the name of one endpoint: its host name or its dashed address.
func (z zone) ofEndpoint(q dns.Question, svc *corev1.Service, name string) reply {
	var ips []netip.Addr
	for _, ep := range z.endpoints(svc) {
		if ep.name == name {
			ips = append(ips, ep.ip)
		}
	}
	return z.addresses(q, ips)
}

// endpointName is one ready endpoint as DNS sees it.
type endpointName struct {
	name  string
	ip    netip.Addr
	ports []discoveryv1.EndpointPort
}

// endpoints are the Service's ready endpoints, each (name, address) once per
// set of ports, in a fixed order.
func (z zone) endpoints(svc *corev1.Service) []endpointName {
	var out []endpointName
	for _, s := range z.view.slices(svc.Namespace, svc.Name) {
		out = append(out, sliceEndpoints(s)...)
	}
	slices.SortStableFunc(out, func(a, b endpointName) int {
		return cmp.Or(a.ip.Compare(b.ip), cmp.Compare(a.name, b.name))
	})
	return out
}

func sliceEndpoints(s *discoveryv1.EndpointSlice) []endpointName {
	var out []endpointName
	for _, ep := range s.Endpoints {
		if ep.Conditions.Ready != nil && !*ep.Conditions.Ready {
			continue
		}
		for _, a := range ep.Addresses {
			ip, err := netip.ParseAddr(a)
			if err != nil {
				continue // addressType FQDN is served by nobody
			}
			name := dash(ip)
			if ep.Hostname != nil && *ep.Hostname != "" {
				name = *ep.Hostname
			}
			out = append(out, endpointName{name: name, ip: ip, ports: s.Ports})
		}
	}
	return out
}

// target is where an SRV record points.
type target struct {
	host string
	port uint16
	ips  []netip.Addr
}

// targets are the places of a Service's ports, by port name and protocol; empty
// means any.
func (z zone) targets(svc *corev1.Service, port, protocol string) []target {
	match := func(name string, proto corev1.Protocol) bool {
		return (port == "" || strings.EqualFold(port, name)) &&
			(protocol == "" || strings.EqualFold(protocol, string(cmp.Or(proto, corev1.ProtocolTCP))))
	}
	host := svc.Name + "." + svc.Namespace + ".svc." + z.domain
	var out []target
	if !headless(svc) {
		for _, p := range svc.Spec.Ports {
			if match(p.Name, p.Protocol) {
				out = append(out, target{host, uint16(p.Port), clusterIPs(svc)})
			}
		}
		return out
	}
	for _, ep := range z.endpoints(svc) {
		for _, p := range ep.ports {
			if p.Port != nil && match(deref(p.Name), deref(p.Protocol)) {
				out = append(out, target{ep.name + "." + host, uint16(*p.Port), []netip.Addr{ep.ip}})
			}
		}
	}
	return out
}

func (z zone) srv(q dns.Question, targets []target) reply {
	r := reply{exists: len(targets) > 0}
	if q.Qtype != dns.TypeSRV {
		return r
	}
	seen := map[string]bool{}
	for _, t := range targets {
		if key := fmt.Sprint(t.host, " ", t.port); !seen[key] {
			seen[key] = true
			weight := uint16(max(1, 100/len(targets)))
			r.answer = append(r.answer, &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Weight: weight, Port: t.port, Target: t.host})
		}
		for _, ip := range t.ips {
			rr := addressRecord(t.host, ip)
			if text := rr.String(); !seen[text] {
				seen[text] = true
				r.extra = append(r.extra, rr)
			}
		}
	}
	return r
}

// addresses answers A or AAAA; a name exists if it has an address of any family.
func (z zone) addresses(q dns.Question, ips []netip.Addr) reply {
	r := reply{exists: len(ips) > 0}
	for i, ip := range ips {
		rr := addressRecord(q.Name, ip)
		if rr.Header().Rrtype == q.Qtype && slices.Index(ips, ip) == i {
			r.answer = append(r.answer, rr)
		}
	}
	return r
}

// typed answers one record if it is the type that was asked for.
func (z zone) typed(q dns.Question, rrtype uint16, rr dns.RR) reply {
	r := reply{exists: true}
	if q.Qtype == rrtype {
		*rr.Header() = header(q.Name, rrtype)
		r.answer = []dns.RR{rr}
	}
	return r
}

// reverse answers the names of an address: of the Service whose it is, else of
// the endpoints that have it. Not found means: somebody else's to answer.
func (z zone) reverse(q dns.Question, ip netip.Addr) reply {
	var names []string
	for _, svc := range z.view.servicesAt(ip) {
		names = append(names, svc.Name+"."+svc.Namespace+".svc."+z.domain)
	}
	if len(names) == 0 {
		for _, s := range z.view.slicesAt(ip) {
			svc := s.Labels[discoveryv1.LabelServiceName]
			if z.view.service(s.Namespace, svc) == nil {
				continue
			}
			for _, ep := range sliceEndpoints(s) {
				if ep.ip == ip {
					names = append(names, ep.name+"."+svc+"."+s.Namespace+".svc."+z.domain)
				}
			}
		}
	}
	slices.Sort(names)
	r := reply{exists: len(names) > 0}
	for _, n := range slices.Compact(names) {
		if q.Qtype == dns.TypePTR {
			r.answer = append(r.answer, &dns.PTR{Hdr: header(q.Name, dns.TypePTR), Ptr: n})
		}
	}
	return r
}
