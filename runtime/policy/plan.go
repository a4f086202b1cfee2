package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Input is everything that Plan follows from. It is not changed.
type Input struct {
	// Node whose pods are protected.
	Node       string
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	Policies   []*networkingv1.NetworkPolicy
	// IPv6 plans for that family instead of IPv4.
	IPv6 bool
}

// Rules are what is to be written, in a fixed order.
type Rules struct {
	// Ingress and Egress map the addresses of isolated pods to their chains.
	Ingress, Egress map[string]string
	Sets            []Set
	Chains          []Chain
}

// Set of addresses, or of address, protocol and port.
type Set struct {
	Name     string
	Type     string
	Elements []string
}

// Chain of rules.
type Chain struct {
	Name  string
	Rules []string
}

// Chains that decide when a packet is through.
const (
	allowIngress = "accept"
	allowEgress  = "goto ingress"
)

// pod is one that can be a peer or be protected.
type pod struct {
	*corev1.Pod
	ip netip.Addr
}

type planner struct {
	Input
	ip    string // the name of the family in rules
	pods  []pod
	space map[string]labels.Set
	rules Rules
	made  map[string]bool
}

// Plan decides the rules of a node.
func Plan(in Input) Rules {
	p := &planner{Input: in, ip: "ip", space: map[string]labels.Set{}, made: map[string]bool{}}
	if in.IPv6 {
		p.ip = "ip6"
	}
	for _, ns := range in.Namespaces {
		p.space[ns.Name] = ns.Labels
	}
	p.collectPods()
	p.rules.Ingress, p.rules.Egress = map[string]string{}, map[string]string{}
	policies := slices.Clone(in.Policies)
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	for _, x := range p.pods {
		if x.Spec.NodeName == in.Node {
			p.protect(x, policies)
		}
	}
	return p.rules
}

// collectPods takes those that are on the pod network, in order of addresses.
func (p *planner) collectPods() {
	for _, x := range p.Pods {
		if x.Spec.HostNetwork || x.Status.Phase == corev1.PodSucceeded || x.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, s := range x.Status.PodIPs {
			if a, err := netip.ParseAddr(s.IP); err == nil && a.Is6() == p.IPv6 {
				p.pods = append(p.pods, pod{x, a})
				break
			}
		}
	}
	slices.SortFunc(p.pods, func(a, b pod) int { return a.ip.Compare(b.ip) })
}

// protect gives a pod its chains if policies isolate it.
func (p *planner) protect(x pod, policies []*networkingv1.NetworkPolicy) {
	var in, out []string
	isolatedIn, isolatedOut := false, false
	for _, np := range policies {
		if np.Namespace != x.Namespace || !selects(&np.Spec.PodSelector, x.Labels) {
			continue
		}
		if slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			isolatedIn = true
			in = append(in, "jump "+p.ingress(np))
		}
		if slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			isolatedOut = true
			out = append(out, "jump "+p.egress(np))
		}
	}
	id := strings.NewReplacer(".", "-", ":", "-").Replace(x.ip.String())
	if isolatedIn {
		own := fmt.Sprintf("%s saddr %s accept", p.ip, x.ip)
		p.rules.Ingress[x.ip.String()] = "to-" + id
		p.chain("to-"+id, append(append([]string{own}, in...), "drop"))
	}
	if isolatedOut {
		own := fmt.Sprintf("%s daddr %s goto ingress", p.ip, x.ip)
		p.rules.Egress[x.ip.String()] = "from-" + id
		p.chain("from-"+id, append(append([]string{own}, out...), "drop"))
	}
}

func (p *planner) chain(name string, rules []string) {
	p.rules.Chains = append(p.rules.Chains, Chain{name, rules})
}

// set keeps its elements sorted.
func (p *planner) set(name, kind string, elements map[string]bool) {
	p.rules.Sets = append(p.rules.Sets, Set{name, kind, slices.Sorted(maps.Keys(elements))})
}

// policyID names a policy within the 32 bytes that the kernel allows.
func policyID(np *networkingv1.NetworkPolicy) string {
	sum := sha256.Sum256([]byte(np.Namespace + "/" + np.Name))
	return hex.EncodeToString(sum[:8])
}

// ingress makes the chain of a policy's ingress rules and returns its name.
func (p *planner) ingress(np *networkingv1.NetworkPolicy) string {
	name := "in-" + policyID(np)
	if p.made[name] {
		return name
	}
	p.made[name] = true
	var rules []string
	for i, r := range np.Spec.Ingress {
		id := fmt.Sprintf("%s-%d", name, i)
		peers := p.peers(np.Namespace, r.From, id, "saddr")
		// Named ports are those of the pods that the policy protects.
		targets := p.selected(np)
		rules = append(rules, p.combine(peers, r.Ports, targets, id, allowIngress)...)
	}
	p.chain(name, rules)
	return name
}

func (p *planner) egress(np *networkingv1.NetworkPolicy) string {
	name := "out-" + policyID(np)
	if p.made[name] {
		return name
	}
	p.made[name] = true
	var rules []string
	for i, r := range np.Spec.Egress {
		id := fmt.Sprintf("%s-%d", name, i)
		peers := p.peers(np.Namespace, r.To, id, "daddr")
		// Named ports are those of the pods that are reached.
		targets := p.pods
		if len(r.To) > 0 {
			targets = p.matching(np.Namespace, r.To)
		}
		rules = append(rules, p.combine(peers, r.Ports, targets, id, allowEgress)...)
	}
	p.chain(name, rules)
	return name
}

// selected are the pods that a policy protects.
func (p *planner) selected(np *networkingv1.NetworkPolicy) (out []pod) {
	for _, x := range p.pods {
		if x.Namespace == np.Namespace && selects(&np.Spec.PodSelector, x.Labels) {
			out = append(out, x)
		}
	}
	return out
}

// peers are matches on the other side's address, any of which allows; one empty
// match for no restriction.
func (p *planner) peers(namespace string, peers []networkingv1.NetworkPolicyPeer, id, field string) (out []string) {
	if len(peers) == 0 {
		return []string{""}
	}
	addresses := map[string]bool{}
	for _, x := range p.matching(namespace, peers) {
		addresses[x.ip.String()] = true
	}
	if len(addresses) > 0 {
		p.set(id, p.addressType(), addresses)
		out = append(out, fmt.Sprintf("%s %s @%s", p.ip, field, id))
	}
	for _, peer := range peers {
		if b := peer.IPBlock; b != nil {
			if match := p.block(b, field); match != "" {
				out = append(out, match)
			}
		}
	}
	return out
}

func (p *planner) addressType() string {
	if p.IPv6 {
		return "ipv6_addr"
	}
	return "ipv4_addr"
}

// block matches a range without its exceptions; empty for the other family.
func (p *planner) block(b *networkingv1.IPBlock, field string) string {
	cidr, err := netip.ParsePrefix(b.CIDR)
	if err != nil || cidr.Addr().Is6() != p.IPv6 {
		return ""
	}
	match := fmt.Sprintf("%s %s %s", p.ip, field, cidr.Masked())
	for _, e := range b.Except {
		if except, err := netip.ParsePrefix(e); err == nil && except.Addr().Is6() == p.IPv6 {
			match += fmt.Sprintf(" %s %s != %s", p.ip, field, except.Masked())
		}
	}
	return match
}

// matching are the pods that any of the peers names.
func (p *planner) matching(namespace string, peers []networkingv1.NetworkPolicyPeer) (out []pod) {
	for _, x := range p.pods {
		if slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool { return p.names(namespace, &peer, x) }) {
			out = append(out, x)
		}
	}
	return out
}

func (p *planner) names(namespace string, peer *networkingv1.NetworkPolicyPeer, x pod) bool {
	switch {
	case peer.IPBlock != nil:
		return false
	case peer.NamespaceSelector != nil:
		space, ok := p.space[x.Namespace]
		if !ok || !selects(peer.NamespaceSelector, space) {
			return false
		}
	case x.Namespace != namespace:
		return false
	}
	return peer.PodSelector == nil || selects(peer.PodSelector, x.Labels)
}
