package network

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/knftables"
)

// tableSpec is a whole nftables table as data: what a pure function decided and
// applyTable writes in one transaction.
type tableSpec struct {
	family knftables.Family
	maps   []knftables.Map
	sets   []knftables.Set
	chains []chainSpec
	elems  []knftables.Element
}

type chainSpec struct {
	name     string
	kind     knftables.BaseChainType
	hook     knftables.BaseChainHook
	priority knftables.BaseChainPriority
	rules    []string
}

// family is what differs between IPv4 and IPv6.
type family struct {
	nft        knftables.Family
	ip         string // the match keyword
	addrType   string // the set element type
	loopback   string // what must not come from a bridge; empty: the kernel sees to it
	multicast  string
	everything string
}

var (
	ipv4 = family{knftables.IPv4Family, "ip", "ipv4_addr", "127.0.0.0/8", "224.0.0.0/4", "0.0.0.0/0"}
	ipv6 = family{knftables.IPv6Family, "ip6", "ipv6_addr", "", "ff00::/8", "::/0"}
)

func familyOf(addr netip.Addr) family {
	if addr.Is6() {
		return ipv6
	}
	return ipv4
}

// forward is one host port with its way into a pod.
type forward struct {
	hostIP   string
	protocol string
	hostPort int32
	pod      netip.Addr
	podPort  int32
}

// hostForwards are the pod's host ports that have an address of the family to go to.
// One on an address of the other family is not there.
func hostForwards(f family, rec record) []forward {
	at := slices.IndexFunc(rec.IPs, func(ip netip.Addr) bool { return familyOf(ip) == f })
	if at < 0 {
		return nil
	}
	var out []forward
	for _, p := range rec.Ports {
		a, err := netip.ParseAddr(p.HostIP)
		if p.HostPort == 0 || err == nil && !a.IsUnspecified() && familyOf(a) != f {
			continue
		}
		hostIP := p.HostIP
		if err != nil || a.IsUnspecified() {
			hostIP = ""
		}
		proto := strings.ToLower(p.Protocol)
		if proto == "" {
			proto = "tcp"
		}
		out = append(out, forward{hostIP: hostIP, protocol: proto, hostPort: p.HostPort, pod: rec.IPs[at], podPort: p.ContainerPort})
	}
	return out
}

// podRules is what the table of a node's pod network follows from.
type podRules struct {
	family   family
	bridge   string
	podCIDR  netip.Prefix
	inside   []netip.Prefix // destinations that see the pod's own address
	forwards []forward
}

// podTable decides the table of a node's pod network: egress masquerade, host
// ports, and the guard that route_localnet on the bridge calls for.
func podTable(in podRules) tableSpec {
	ip, addr := in.family.ip, in.family.addrType
	const toPort = "meta l4proto . th dport"
	dnat := []string{
		"meta l4proto { tcp, udp, sctp } dnat " + ip + " to " + ip + " daddr . " + toPort + " map @hostports-by-ip",
		"fib daddr type local meta l4proto { tcp, udp, sctp } dnat " + ip + " to " + toPort + " map @hostports",
	}
	bridge := strconv.Quote(in.bridge)
	t := tableSpec{
		family: in.family.nft,
		maps: []knftables.Map{
			{Name: "hostports", Type: "inet_proto . inet_service : " + addr + " . inet_service"},
			{Name: "hostports-by-ip", Type: addr + " . inet_proto . inet_service : " + addr + " . inet_service"},
		},
		sets: []knftables.Set{{Name: "hairpin", Type: addr + " . " + addr}},
		chains: []chainSpec{
			{"guard", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority, in.family.guard(bridge)},
			{"host-ports-in", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority, dnat},
			{"host-ports-out", knftables.NATType, knftables.OutputHook, "-100", dnat},
			{"egress", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, append(in.family.answers(bridge),
				fmt.Sprintf("ct status dnat %s saddr . %s daddr @hairpin masquerade fully-random", ip, ip),
				in.family.egress(in.podCIDR, append(in.inside, in.podCIDR), bridge))},
		},
	}
	t.elems = forwardElements(in.forwards)
	return t
}

// guard drops what comes from a bridge for, or as, the machine's loopback.
func (f family) guard(bridge string) []string {
	if f.loopback == "" {
		return nil
	}
	return []string{
		fmt.Sprintf("iifname %s %s daddr %s drop", bridge, f.ip, f.loopback),
		fmt.Sprintf("iifname %s %s saddr %s drop", bridge, f.ip, f.loopback),
	}
}

// answers brings back what the machine asked from its loopback.
func (f family) answers(bridge string) []string {
	if f.loopback == "" {
		return nil
	}
	return []string{fmt.Sprintf("ct status dnat %s saddr %s oifname %s masquerade fully-random", f.ip, f.loopback, bridge)}
}

// egress masquerades what leaves for anywhere but inside.
func (f family) egress(from netip.Prefix, inside []netip.Prefix, bridge string) string {
	return fmt.Sprintf("%s saddr %s %s daddr != { %s } oifname != %s masquerade fully-random",
		f.ip, from, f.ip, joinPrefixes(append(inside, netip.MustParsePrefix(f.multicast))), bridge)
}

// forwardElements are the host ports as map elements; when two pods claim the
// same port (the scheduler forbids it) the first by address wins, always the same.
func forwardElements(forwards []forward) []knftables.Element {
	sorted := slices.Clone(forwards)
	slices.SortFunc(sorted, func(a, b forward) int {
		return cmp.Or(cmp.Compare(a.hostPort, b.hostPort), cmp.Compare(a.protocol, b.protocol),
			cmp.Compare(a.hostIP, b.hostIP), a.pod.Compare(b.pod))
	})
	var out []knftables.Element
	seen := map[string]bool{}
	add := func(e knftables.Element) {
		id := e.Map + e.Set + strings.Join(e.Key, " ")
		if !seen[id] {
			seen[id] = true
			out = append(out, e)
		}
	}
	for _, f := range sorted {
		port := strconv.Itoa(int(f.hostPort))
		value := []string{f.pod.String(), strconv.Itoa(int(f.podPort))}
		if f.hostIP == "" {
			add(knftables.Element{Map: "hostports", Key: []string{f.protocol, port}, Value: value})
		} else {
			add(knftables.Element{Map: "hostports-by-ip", Key: []string{f.hostIP, f.protocol, port}, Value: value})
		}
		add(knftables.Element{Set: "hairpin", Key: []string{f.pod.String(), f.pod.String()}})
	}
	return out
}

// nodeTable decides the table of the machine's side of several nodes: their way
// out, and that nobody outside reaches the gateway address (the API server and
// DNS listen there for pods only).
func nodeTable(bridge string, subnet, cluster netip.Prefix, podBridge string) tableSpec {
	f, b := familyOf(subnet.Addr()), strconv.Quote(bridge)
	return tableSpec{family: f.nft, chains: []chainSpec{
		{"guard", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority, append(f.guard(b),
			fmt.Sprintf("%s daddr %s iifname != { \"lo\", %s, %q } drop", f.ip, nthAddr(subnet, 1), b, podBridge))},
		{"egress", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, append(f.answers(b),
			f.egress(subnet, []netip.Prefix{subnet, cluster}, b))},
	}}
}

// joinPrefixes lists the prefixes for an anonymous set, those covered by others left
// out (nft refuses overlaps).
func joinPrefixes(ps []netip.Prefix) string {
	var out []string
	for i, p := range ps {
		covered := false
		for j, q := range ps {
			if i != j && q.Overlaps(p) && (q.Bits() < p.Bits() || q.Bits() == p.Bits() && j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, p.Masked().String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// applyTable replaces the whole table in one transaction; connections already
// translated are not disturbed.
func applyTable(ctx context.Context, name string, spec tableSpec) error {
	nft, err := knftables.New(spec.family, name)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{})
	for i := range spec.maps {
		tx.Add(&spec.maps[i])
	}
	for i := range spec.sets {
		tx.Add(&spec.sets[i])
	}
	for _, c := range spec.chains {
		tx.Add(&knftables.Chain{Name: c.name, Type: &c.kind, Hook: &c.hook, Priority: &c.priority})
		for _, r := range c.rules {
			tx.Add(&knftables.Rule{Chain: c.name, Rule: r})
		}
	}
	for i := range spec.elems {
		tx.Add(&spec.elems[i])
	}
	return nft.Run(ctx, tx)
}

// deleteTable removes the table of either family; no error when it is not there.
func deleteTable(ctx context.Context, name string) error {
	for _, f := range []family{ipv4, ipv6} {
		nft, err := knftables.New(f.nft, name)
		if err != nil {
			return err
		}
		tx := nft.NewTransaction()
		tx.Add(&knftables.Table{})
		tx.Delete(&knftables.Table{})
		if err := nft.Run(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}
