package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/knftables"

	"github.com/pintle-io/pintle/runtime/endpoint"
	"github.com/pintle-io/pintle/runtime/ruleset"
)

// masqueradeMark is the packet mark between the choice of an endpoint and the
// postrouting hook, where masquerading is possible. One bit, cleared there.
const masqueradeMark = "0x00010000"

// names of the shared maps and sets.
const (
	mapServiceIPs    = "service-ips"
	mapNodePorts     = "service-nodeports"
	mapDeadIPs       = "no-endpoint-ips"
	mapDeadNodePorts = "no-endpoint-nodeports"
	setClusterIPs    = "cluster-ips"
	setHairpin       = "hairpin"
)

// verdicts for what has no endpoint to go to.
const (
	refuse = "goto refuse"
	drop   = "drop"
)

// family is what differs between IPv4 and IPv6.
type family struct {
	addressType discoveryv1.AddressType
	nft         knftables.Family
	ip          string // the match keyword
	addrType    string // the set element type
}

var (
	ipv4 = family{discoveryv1.AddressTypeIPv4, knftables.IPv4Family, "ip", "ipv4_addr"}
	ipv6 = family{discoveryv1.AddressTypeIPv6, knftables.IPv6Family, "ip6", "ipv6_addr"}
)

// Build decides the Ruleset for the ports of a Service. clusterCIDR tells pods from
// others.
func Build(f family, clusterCIDR netip.Prefix, ports []servicePort) ruleset.Ruleset {
	b := builder{f: f, clusterCIDR: clusterCIDR, rs: ruleset.New()}
	for _, p := range ports {
		b.add(p)
	}
	return b.rs
}

type builder struct {
	f           family
	clusterCIDR netip.Prefix
	rs          ruleset.Ruleset
}

// add writes one service port: where it is reached, and what happens there.
func (b *builder) add(p servicePort) {
	b.element(setClusterIPs, "", p.clusterIP.String())
	for _, ep := range p.cluster {
		ip := ep.Addr.Addr().String()
		b.element(setHairpin, "", ip, ip)
	}
	b.front(p, p.clusterIP, b.internal(p))
	if len(p.externalIPs) == 0 && len(p.loadBalancerIPs) == 0 && p.nodePort == 0 {
		return
	}
	external := b.external(p)
	for _, ip := range p.externalIPs {
		b.front(p, ip, external)
	}
	guarded := b.guarded(p, external)
	for _, ip := range p.loadBalancerIPs {
		b.front(p, ip, guarded)
	}
	if p.nodePort != 0 {
		b.place(mapNodePorts, mapDeadNodePorts, external, p.protocol, utoa(p.nodePort))
	}
}

// internal is what happens at the cluster address: refuse when there is no
// endpoint at all, drop when the policy wants one on this node and it has none.
func (b *builder) internal(p servicePort) string {
	switch {
	case len(p.cluster) == 0:
		return refuse
	case !p.internalLocal:
		return "goto " + b.pick("cluster", p, p.cluster)
	case len(p.local) == 0:
		return drop
	}
	return "goto " + b.pick("local", p, p.local)
}

// front places an address of the port; connections to it either go to a chain
// or are refused in the filter hooks (NAT hooks cannot refuse).
func (b *builder) front(p servicePort, ip netip.Addr, verdict string) {
	b.place(mapServiceIPs, mapDeadIPs, verdict, ip.String(), p.protocol, utoa(p.number))
}

func (b *builder) place(alive, dead, verdict string, key ...string) {
	if verdict == drop || verdict == refuse {
		b.element(dead, verdict, key...)
		return
	}
	b.element(alive, verdict, key...)
}

// element adds an element; of two ports that claim one address, the first keeps it.
func (b *builder) element(container, value string, key ...string) {
	k := ruleset.Key{In: container, Key: strings.Join(key, " . ")}
	if _, taken := b.rs.Elements[k]; !taken {
		b.rs.Elements[k] = value
	}
}

// external is the way in from outside the cluster. Under the Cluster policy the
// endpoint may be elsewhere, so the answer must come back through this node:
// masquerade. Under Local the client's address is kept; clients of this node and
// pods may still use every endpoint.
func (b *builder) external(p servicePort) string {
	if len(p.cluster) == 0 {
		return refuse
	}
	anywhere := "goto " + b.pick("cluster", p, p.cluster)
	mark := "meta mark set meta mark or " + masqueradeMark
	name := "external/" + p.id()
	b.rs.Chains[name] = []string{mark, anywhere}
	if p.externalLocal {
		onNode := drop
		if len(p.local) > 0 {
			onNode = "goto " + b.pick("local", p, p.local)
		}
		b.rs.Chains[name] = []string{
			fmt.Sprintf("%s saddr %s %s", b.f.ip, b.clusterCIDR, anywhere),
			"fib saddr type local " + mark + " " + anywhere,
			onNode,
		}
	}
	return "goto " + name
}

// guarded admits only the load balancer's source ranges.
func (b *builder) guarded(p servicePort, verdict string) string {
	if len(p.sourceRanges) == 0 || len(p.loadBalancerIPs) == 0 || verdict == refuse {
		return verdict
	}
	name := "firewall/" + p.id()
	b.rs.Chains[name] = []string{
		fmt.Sprintf("%s saddr != { %s } drop", b.f.ip, joinPrefixes(p.sourceRanges)),
		verdict,
	}
	return "goto " + name
}

// pick makes the chain that chooses among the endpoints and answers its name.
func (b *builder) pick(kind string, p servicePort, eps []endpoint.Endpoint) string {
	name := kind + "/" + p.id()
	if _, done := b.rs.Chains[name]; done || len(eps) == 0 {
		return name
	}
	if p.affinity > 0 {
		b.rs.Chains[name] = b.sticky(p, eps)
	} else {
		b.rs.Chains[name] = []string{b.spread(p.protocol, eps)}
	}
	return name
}

// spread sends each connection to an endpoint at random.
func (b *builder) spread(protocol string, eps []endpoint.Endpoint) string {
	if len(eps) == 1 {
		return b.dnat(protocol, eps[0])
	}
	targets := make([]string, len(eps))
	for i, ep := range eps {
		targets[i] = fmt.Sprintf("%d : %s . %d", i, ep.Addr.Addr(), ep.Addr.Port())
	}
	return fmt.Sprintf("meta l4proto %s dnat %s to numgen random mod %d map { %s }", protocol, b.f.ip, len(eps), strings.Join(targets, ", "))
}

func (b *builder) dnat(protocol string, ep endpoint.Endpoint) string {
	return fmt.Sprintf("meta l4proto %s dnat to %s", protocol, ep.Addr)
}

// sticky sends a client to the endpoint it had before, else to one at random,
// which then remembers it.
func (b *builder) sticky(p servicePort, eps []endpoint.Endpoint) []string {
	var rules, targets []string
	for i, ep := range eps {
		// Names may not hold colons.
		suffix := p.id() + "/" + strings.ReplaceAll(ep.Addr.Addr().String(), ":", ".") + "/" + utoa(ep.Addr.Port())
		set := fmt.Sprintf("affinity/%s/%d", suffix, int(p.affinity.Seconds()))
		chain := "endpoint/" + suffix
		b.rs.Sets[set] = ruleset.Set{Type: b.f.addrType, Timeout: p.affinity}
		b.rs.Chains[chain] = []string{
			fmt.Sprintf("update @%s { %s saddr }", set, b.f.ip),
			b.dnat(p.protocol, ep),
		}
		rules = append(rules, fmt.Sprintf("%s saddr @%s goto %s", b.f.ip, set, chain))
		targets = append(targets, fmt.Sprintf("%d : goto %s", i, chain))
	}
	return append(rules, fmt.Sprintf("numgen random mod %d vmap { %s }", len(eps), strings.Join(targets, " , ")))
}

// joinPrefixes lists the ranges for an anonymous set, those inside others left
// out (nft refuses overlaps).
func joinPrefixes(ps []netip.Prefix) string {
	var out []string
	for i, p := range ps {
		covered := slices.ContainsFunc(ps, func(q netip.Prefix) bool { return q.Bits() < p.Bits() && q.Overlaps(p) })
		if !covered && slices.Index(ps, p) == i {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func itoa(n int32) string  { return strconv.Itoa(int(n)) }
func utoa(n uint16) string { return strconv.Itoa(int(n)) }
