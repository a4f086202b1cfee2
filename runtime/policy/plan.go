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

// direction is what differs between the rules for what comes to a pod and for what it
// sends.
type direction struct {
	kind networkingv1.PolicyType
	// pod and policy begin the names of chains.
	pod, policy string
	// peer is the field of the other side's address.
	peer string
	// allow is what becomes of a packet that may pass: one that is sent goes on to
	// whom it reaches.
	allow string
	rules func(*networkingv1.NetworkPolicySpec) []peersAndPorts
	// named are the pods whose named ports are meant.
	named func(*planner, *networkingv1.NetworkPolicy, []networkingv1.NetworkPolicyPeer) []pod
	// chains of the isolated pods.
	chains func(*Rules) map[string]string
}

type peersAndPorts struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

var (
	ingress = direction{
		kind: networkingv1.PolicyTypeIngress, pod: "to-", policy: "in-", peer: "saddr", allow: "accept",
		rules: func(s *networkingv1.NetworkPolicySpec) (out []peersAndPorts) {
			for _, r := range s.Ingress {
				out = append(out, peersAndPorts{r.From, r.Ports})
			}
			return out
		},
		named: func(p *planner, np *networkingv1.NetworkPolicy, _ []networkingv1.NetworkPolicyPeer) []pod {
			return p.selected(np)
		},
		chains: func(r *Rules) map[string]string { return r.Ingress },
	}
	egress = direction{
		kind: networkingv1.PolicyTypeEgress, pod: "from-", policy: "out-", peer: "daddr", allow: "goto ingress",
		rules: func(s *networkingv1.NetworkPolicySpec) (out []peersAndPorts) {
			for _, r := range s.Egress {
				out = append(out, peersAndPorts{r.To, r.Ports})
			}
			return out
		},
		named: func(p *planner, np *networkingv1.NetworkPolicy, peers []networkingv1.NetworkPolicyPeer) []pod {
			if len(peers) == 0 {
				return p.pods
			}
			return p.matching(np.Namespace, peers)
		},
		chains: func(r *Rules) map[string]string { return r.Egress },
	}
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
	id := strings.NewReplacer(".", "-", ":", "-").Replace(x.ip.String())
	for _, d := range []direction{ingress, egress} {
		// What a pod sends to itself always passes.
		rules, isolated := []string{fmt.Sprintf("%s %s %s %s", p.ip, d.peer, x.ip, d.allow)}, false
		for _, np := range policies {
			if np.Namespace == x.Namespace && slices.Contains(np.Spec.PolicyTypes, d.kind) && selects(&np.Spec.PodSelector, x.Labels) {
				isolated = true
				rules = append(rules, "jump "+p.policy(np, d))
			}
		}
		if isolated {
			d.chains(&p.rules)[x.ip.String()] = d.pod + id
			p.chain(d.pod+id, append(rules, "drop"))
		}
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

// policy makes the chain of a policy's rules in a direction and returns its name.
func (p *planner) policy(np *networkingv1.NetworkPolicy, d direction) string {
	name := d.policy + policyID(np)
	if p.made[name] {
		return name
	}
	p.made[name] = true
	var rules []string
	for i, r := range d.rules(&np.Spec) {
		id := fmt.Sprintf("%s-%d", name, i)
		peers := p.peers(np.Namespace, r.peers, id, d.peer)
		rules = append(rules, p.combine(peers, r.ports, d.named(p, np, r.peers), id, d.allow)...)
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
