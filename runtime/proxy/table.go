package proxy

import (
	"fmt"
	"net/netip"

	"sigs.k8s.io/knftables"
)

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
