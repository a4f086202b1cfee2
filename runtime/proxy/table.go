package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/knftables"
)

// affinitySize bounds the clients that are remembered per endpoint.
const affinitySize = 65535

// baseTable writes the unchanging part of the table into the transaction,
// replacing whatever an earlier process left of it.
func baseTable(tx *knftables.Transaction, f family, clusterCIDR netip.Prefix) {
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("Services, written by pintle")})
	frontKey, nodePortKey := f.addrType+" . inet_proto . inet_service", "inet_proto . inet_service"
	for _, name := range []string{mapServiceIPs, mapDeadIPs} {
		tx.Add(&knftables.Map{Name: name, Type: frontKey + " : verdict"})
	}
	for _, name := range []string{mapNodePorts, mapDeadNodePorts} {
		tx.Add(&knftables.Map{Name: name, Type: nodePortKey + " : verdict"})
	}
	tx.Add(&knftables.Set{Name: setClusterIPs, Type: f.addrType})
	tx.Add(&knftables.Set{Name: setHairpin, Type: f.addrType + " . " + f.addrType})
	chain := func(c knftables.Chain, rules ...string) {
		tx.Add(&c)
		for _, r := range rules {
			tx.Add(&knftables.Rule{Chain: c.Name, Rule: r})
		}
	}
	lookup := func(front, nodePort string) []string {
		return []string{
			fmt.Sprintf("%s daddr . meta l4proto . th dport vmap @%s", f.ip, front),
			fmt.Sprintf("fib daddr type local meta l4proto . th dport vmap @%s", nodePort),
		}
	}
	// A client that is no pod, such as a process of the node, must be answered
	// through the node, wherever the endpoint is.
	services := append([]string{fmt.Sprintf("%s daddr @%s %s saddr != %s meta mark set meta mark or %s",
		f.ip, setClusterIPs, f.ip, clusterCIDR, masqueradeMark)}, lookup(mapServiceIPs, mapNodePorts)...)
	chain(knftables.Chain{Name: "services"}, services...)
	chain(knftables.Chain{Name: "refuse"}, "meta l4proto tcp reject with tcp reset", "reject")
	dead := append(lookup(mapDeadIPs, mapDeadNodePorts), fmt.Sprintf("%s daddr @%s goto refuse", f.ip, setClusterIPs))
	chain(knftables.Chain{Name: "dead-ends"}, dead...)

	for _, hook := range []knftables.BaseChainHook{knftables.PreroutingHook, knftables.OutputHook} {
		chain(baseChain("nat-"+hook, knftables.NATType, hook, "-100"), "jump services")
	}
	for _, hook := range []knftables.BaseChainHook{knftables.InputHook, knftables.ForwardHook, knftables.OutputHook} {
		chain(baseChain("filter-"+hook, knftables.FilterType, hook, knftables.FilterPriority), "ct state new jump dead-ends")
	}
	chain(baseChain("nat-postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority),
		fmt.Sprintf("meta mark and %s != 0 meta mark set meta mark xor %s masquerade fully-random", masqueradeMark, masqueradeMark),
		fmt.Sprintf("ct status dnat %s saddr . %s daddr @%s masquerade fully-random", f.ip, f.ip, setHairpin))
}

func baseChain(name knftables.BaseChainHook, kind knftables.BaseChainType, hook knftables.BaseChainHook, priority knftables.BaseChainPriority) knftables.Chain {
	return knftables.Chain{Name: string(name), Type: &kind, Hook: &hook, Priority: &priority}
}

// diff writes the difference between two Rulesets into the transaction and
// answers whether there is one. The order matters: what is referred to comes
// before the reference, and goes after it.
func diff(tx *knftables.Transaction, f family, old, cur Ruleset) bool {
	changed := false
	for _, name := range missing(cur.affinity, old.affinity) {
		changed = true
		tx.Add(affinitySet(f, name, cur.affinity[name]))
	}
	var rewrite []string
	for _, name := range slices.Sorted(maps.Keys(cur.chains)) {
		if was, had := old.chains[name]; !had || !slices.Equal(was, cur.chains[name]) {
			rewrite = append(rewrite, name)
			tx.Add(&knftables.Chain{Name: name})
			if had {
				tx.Flush(&knftables.Chain{Name: name})
			}
		}
	}
	for _, name := range rewrite {
		for _, rule := range cur.chains[name] {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	if diffElements(tx, old.elements, cur.elements) {
		changed = true
	}
	stale := missing(old.chains, cur.chains)
	for _, name := range stale {
		tx.Flush(&knftables.Chain{Name: name})
	}
	for _, name := range stale {
		tx.Delete(&knftables.Chain{Name: name})
	}
	for _, name := range missing(old.affinity, cur.affinity) {
		changed = true
		tx.Delete(affinitySet(f, name, old.affinity[name]))
	}
	return changed || len(rewrite) > 0 || len(stale) > 0
}

func affinitySet(f family, name string, timeout time.Duration) *knftables.Set {
	return &knftables.Set{
		Name:    name,
		Type:    f.addrType,
		Flags:   []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag},
		Timeout: &timeout,
		Size:    knftables.PtrTo[uint64](affinitySize),
	}
}

func diffElements(tx *knftables.Transaction, old, cur map[elementKey]string) bool {
	changed := false
	for _, k := range sortedElements(old) {
		if now, ok := cur[k]; !ok || now != old[k] {
			changed = true
			tx.Delete(element(k, old[k]))
		}
	}
	for _, k := range sortedElements(cur) {
		if was, ok := old[k]; !ok || was != cur[k] {
			changed = true
			tx.Add(element(k, cur[k]))
		}
	}
	return changed
}

func element(k elementKey, value string) *knftables.Element {
	e := &knftables.Element{Key: strings.Split(k.key, " . ")}
	if value == "" {
		e.Set = k.container
	} else {
		e.Map, e.Value = k.container, []string{value}
	}
	return e
}

// missing are the keys of a that b lacks, sorted.
func missing[V any](a, b map[string]V) []string {
	var out []string
	for k := range a {
		if _, ok := b[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
