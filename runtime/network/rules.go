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

// forward is one host port with its way into a pod.
type forward struct {
	hostIP   string
	protocol string
	hostPort int32
	pod      netip.Addr
	podPort  int32
}

// hostForwards are the pod's host ports that have an address to go to.
func hostForwards(rec record) []forward {
	var out []forward
	for _, p := range rec.Ports {
		if p.HostPort == 0 || len(rec.IPs) == 0 {
			continue
		}
		hostIP := p.HostIP
		if a, err := netip.ParseAddr(hostIP); err != nil || a.IsUnspecified() || !a.Is4() {
			hostIP = ""
		}
		proto := strings.ToLower(p.Protocol)
		if proto == "" {
			proto = "tcp"
		}
		out = append(out, forward{hostIP: hostIP, protocol: proto, hostPort: p.HostPort, pod: rec.IPs[0], podPort: p.ContainerPort})
	}
	return out
}

// podRules is what the table of a node's pod network follows from.
type podRules struct {
	bridge   string
	podCIDR  netip.Prefix
	inside   []netip.Prefix // destinations that see the pod's own address
	forwards []forward
}

// podTable decides the table of a node's pod network: egress masquerade, host
// ports, and the guard that route_localnet on the bridge calls for.
func podTable(in podRules) tableSpec {
	const (
		toPort   = "meta l4proto . th dport"
		toIPPort = "ip daddr . meta l4proto . th dport"
	)
	dnat := []string{
		"meta l4proto { tcp, udp, sctp } dnat ip to " + toIPPort + " map @hostports-by-ip",
		"fib daddr type local meta l4proto { tcp, udp, sctp } dnat ip to " + toPort + " map @hostports",
	}
	bridge := strconv.Quote(in.bridge)
	t := tableSpec{
		maps: []knftables.Map{
			{Name: "hostports", Type: "inet_proto . inet_service : ipv4_addr . inet_service"},
			{Name: "hostports-by-ip", Type: "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"},
		},
		sets: []knftables.Set{{Name: "hairpin", Type: "ipv4_addr . ipv4_addr"}},
		chains: []chainSpec{
			{"guard", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority, []string{
				"iifname " + bridge + " ip daddr 127.0.0.0/8 drop",
				"iifname " + bridge + " ip saddr 127.0.0.0/8 drop",
			}},
			{"host-ports-in", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority, dnat},
			{"host-ports-out", knftables.NATType, knftables.OutputHook, "-100", dnat},
			{"egress", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, []string{
				"ct status dnat ip saddr 127.0.0.0/8 oifname " + bridge + " masquerade fully-random",
				"ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
				fmt.Sprintf("ip saddr %s ip daddr != { %s } oifname != %s masquerade fully-random",
					in.podCIDR, joinPrefixes(append(in.inside, in.podCIDR)), bridge),
			}},
		},
	}
	t.elems = forwardElements(in.forwards)
	return t
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
	b := strconv.Quote(bridge)
	gateway := nthAddr(subnet, 1)
	return tableSpec{chains: []chainSpec{
		{"guard", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority, []string{
			"iifname " + b + " ip daddr 127.0.0.0/8 drop",
			"iifname " + b + " ip saddr 127.0.0.0/8 drop",
			fmt.Sprintf("ip daddr %s iifname != { \"lo\", %s, %q } drop", gateway, b, podBridge),
		}},
		{"egress", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, []string{
			"ct status dnat ip saddr 127.0.0.0/8 oifname " + b + " masquerade fully-random",
			fmt.Sprintf("ip saddr %s ip daddr != { %s } oifname != %s masquerade fully-random",
				subnet, joinPrefixes([]netip.Prefix{subnet, cluster}), b),
		}},
	}}
}

// joinPrefixes lists the prefixes for an anonymous set, multicast added, those
// covered by others left out (nft refuses overlaps).
func joinPrefixes(ps []netip.Prefix) string {
	ps = append(slices.Clone(ps), netip.MustParsePrefix("224.0.0.0/4"))
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
	nft, err := knftables.New(knftables.IPv4Family, name)
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

// deleteTable removes the table; no error when it is not there.
func deleteTable(ctx context.Context, name string) error {
	nft, err := knftables.New(knftables.IPv4Family, name)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	return nft.Run(ctx, tx)
}
