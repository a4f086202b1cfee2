package scheduling

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/wasm/abi"
)

// check decides whether a pod of the class may go to the node, by the hard
// predicates, over the node object and the engine's own tallies rather than the
// columns that strategies read. It returns the reasons against it: those of the
// first predicate that fails, as upstream reports them.
func (c *cluster) check(cl *class, n *nodeInfo) reasons {
	if n.node == nil {
		return reasonSet(abi.ReasonNodeName)
	}
	for i := range predicates {
		if failed := predicates[i].against(c, cl, n); failed != 0 {
			return failed
		}
	}
	failed := c.checkNeeds(cl, n)
	return failed & -failed
}

// predicate is one hard rule about a pod and a node alone, under upstream's name.
type predicate struct {
	name    string
	against func(c *cluster, cl *class, n *nodeInfo) reasons
}

var predicates = []predicate{
	{"NodeUnschedulable", func(_ *cluster, cl *class, n *nodeInfo) reasons {
		return reasonIf(n.node.Spec.Unschedulable && !cl.tolerates(&unschedulableTaint), abi.ReasonUnschedulable)
	}},
	{"TaintToleration", func(_ *cluster, cl *class, n *nodeInfo) reasons {
		return reasonIf(!cl.toleratesNode(n.node), abi.ReasonTaint)
	}},
	{"NodeAffinity", func(_ *cluster, cl *class, n *nodeInfo) reasons {
		return reasonIf(cl.constrained && !cl.matchesAffinity(n.node), abi.ReasonAffinity)
	}},
	{"NodePorts", func(_ *cluster, cl *class, n *nodeInfo) reasons {
		return reasonIf(cl.portsTaken(n), abi.ReasonPorts)
	}},
	{"NodeResourcesFit", (*cluster).checkResources},
	{"VolumeBinding", func(c *cluster, cl *class, n *nodeInfo) reasons {
		if c.volumesAgainst(cl, n) != "" {
			return reasonVolumes
		}
		return 0
	}},
}

func reasonIf(failed bool, r abi.Reason) reasons {
	if failed {
		return reasonSet(r)
	}
	return 0
}

func (cl *class) portsTaken(n *nodeInfo) bool {
	for _, want := range cl.ports {
		for have := range n.ports {
			if have.conflicts(want) {
				return true
			}
		}
	}
	return false
}

func (c *cluster) checkResources(cl *class, n *nodeInfo) reasons {
	var short reasons
	for _, r := range cl.requests {
		if r.value <= n.left(r.slot) {
			continue
		}
		switch r.slot {
		case abi.SlotPods:
			short |= reasonSet(abi.ReasonPods)
		case abi.SlotCPU:
			short |= reasonSet(abi.ReasonCPU)
		case abi.SlotMemory:
			short |= reasonSet(abi.ReasonMemory)
		default:
			short |= reasonSet(abi.ReasonResource)
		}
	}
	return short
}

// left is what the node has free of a resource.
func (n *nodeInfo) left(slot int) int64 {
	left := int64(0)
	if slot < len(n.allocatable) {
		left = n.allocatable[slot]
	}
	if slot < len(n.requested) {
		left -= n.requested[slot]
	}
	return left
}

// checkNeeds returns every reason that the pods on other nodes are for.
func (c *cluster) checkNeeds(cl *class, n *nodeInfo) reasons {
	alone := cl.affinityAlone(c)
	var failed reasons
	for i := range cl.needs {
		need := &cl.needs[i]
		if need.sum == nil {
			continue
		}
		need.sum.refresh(c)
		d := c.domain(need.key, n.row)
		switch need.op {
		case abi.OpSpread:
			if d == 0 || !need.spreads(d) {
				failed |= reasonSet(abi.ReasonSpread)
			}
		case abi.OpAffinity:
			if d == 0 || !alone && need.sum.counts[d] <= 0 {
				failed |= reasonSet(abi.ReasonPodAffinity)
			}
		case abi.OpAntiAffinity:
			if d != 0 && need.sum.counts[d] > 0 {
				failed |= reasonSet(abi.ReasonPodAffinity)
			}
		}
	}
	for _, t := range c.compile(cl).existing {
		s := c.sums[sumID{t, t.key, nil}]
		s.refresh(c)
		if d := c.domain(t.key, n.row); d != 0 && s.counts[d] > 0 {
			failed |= reasonSet(abi.ReasonExisting)
		}
	}
	return failed
}

// spreads reports whether one more pod in the domain keeps the skew.
func (n *need) spreads(domain uint32) bool {
	low, domains := int32(0), int64(0)
	for d, rows := range n.sum.rows {
		if d == 0 || rows == 0 {
			continue
		}
		if count := n.sum.counts[d]; domains == 0 || count < low {
			low = count
		}
		domains++
	}
	if domains < n.minDomains {
		low = 0
	}
	self := int32(0)
	if n.self {
		self = 1
	}
	return int64(n.sum.counts[domain]+self-low) <= n.maxSkew
}

// affinityAlone reports whether required pod affinity is met by the pod itself:
// it matches its own terms, and no pod anywhere does.
func (cl *class) affinityAlone(c *cluster) bool {
	for i := range cl.needs {
		n := &cl.needs[i]
		if n.op != abi.OpAffinity {
			continue
		}
		n.sum.refresh(c)
		if !n.self || slices.ContainsFunc(n.sum.counts, func(v int32) bool { return v > 0 }) {
			return false
		}
	}
	return true
}

// messages are upstream's words for the reasons against a node.
func (c *cluster) messages(cl *class, n *nodeInfo, failed reasons) []string {
	var out []string
	for r := range abi.Reasons {
		if failed&(1<<r) == 0 {
			continue
		}
		switch r {
		case abi.ReasonResource:
			for name, slot := range c.slots {
				i := slices.IndexFunc(cl.requests, func(a amount) bool { return a.slot == slot })
				if slot != abi.SlotCPU && slot != abi.SlotMemory && slot != abi.SlotPods && i >= 0 && cl.requests[i].value > n.left(slot) {
					out = append(out, fmt.Sprintf("Insufficient %s", name))
				}
			}
		case abi.ReasonSpread:
			out = append(out, c.spreadMessage(cl, n))
		case abi.ReasonPodAffinity:
			out = append(out, c.affinityMessage(cl, n))
		default:
			out = append(out, reasonMessages[r])
		}
	}
	if failed&reasonVolumes != 0 {
		out = append(out, c.volumesAgainst(cl, n))
	}
	return out
}

var reasonMessages = [abi.Reasons]string{
	abi.ReasonUnschedulable: "node(s) were unschedulable",
	abi.ReasonNodeName:      "node(s) didn't match the requested node name",
	abi.ReasonTaint:         "node(s) had untolerated taint(s)",
	abi.ReasonAffinity:      "node(s) didn't match Pod's node affinity/selector",
	abi.ReasonPorts:         "node(s) didn't have free ports for the requested pod ports",
	abi.ReasonPods:          "Too many pods",
	abi.ReasonCPU:           "Insufficient " + string(corev1.ResourceCPU),
	abi.ReasonMemory:        "Insufficient " + string(corev1.ResourceMemory),
	abi.ReasonExisting:      "node(s) didn't satisfy existing pods anti-affinity rules",
}

func (c *cluster) spreadMessage(cl *class, n *nodeInfo) string {
	for i := range cl.needs {
		if cl.needs[i].op == abi.OpSpread && c.domain(cl.needs[i].key, n.row) == 0 {
			return "node(s) didn't match pod topology spread constraints (missing required label)"
		}
	}
	return "node(s) didn't match pod topology spread constraints"
}

func (c *cluster) affinityMessage(cl *class, n *nodeInfo) string {
	alone := cl.affinityAlone(c)
	for i := range cl.needs {
		need := &cl.needs[i]
		if need.op != abi.OpAffinity {
			continue
		}
		if d := c.domain(need.key, n.row); d == 0 || !alone && need.sum.counts[d] <= 0 {
			return "node(s) didn't match pod affinity rules"
		}
	}
	return "node(s) didn't match pod anti-affinity rules"
}
