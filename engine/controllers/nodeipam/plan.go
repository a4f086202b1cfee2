// Package nodeipam gives every node a pod address range in each of the cluster's
// ranges: the lowest free /24, or /64 of IPv6. Nodes that only pretend to run pods get
// none.
package nodeipam

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// FakeLabel marks nodes that run no containers.
const FakeLabel = "pintle.io/fake"

// shareBits is the prefix length of a node's share, a multiple of eight.
func shareBits(addr netip.Addr) int {
	if addr.Is4() {
		return 24
	}
	return 64
}

// Observed is every node, and the ranges that shares are cut from.
type Observed struct {
	Nodes        []*corev1.Node
	ClusterCIDRs []netip.Prefix
}

// Plan assigns a share to each node without one, older nodes first. A node for
// which nothing is left gets an event.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	taken := map[netip.Prefix]bool{}
	var waiting []*corev1.Node
	for _, n := range o.Nodes {
		for _, cidr := range n.Spec.PodCIDRs {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				taken[p.Masked()] = true
			}
		}
		if len(n.Spec.PodCIDRs) == 0 && n.Labels[FakeLabel] == "" && n.DeletionTimestamp == nil {
			waiting = append(waiting, n)
		}
	}
	slices.SortFunc(waiting, func(a, b *corev1.Node) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	next := map[netip.Prefix]netip.Addr{}
	for _, cluster := range o.ClusterCIDRs {
		next[cluster] = cluster.Masked().Addr()
	}
	for _, n := range waiting {
		shares, ok := o.shares(next, taken)
		if !ok {
			result.Add(reconcile.Event{
				About: n, Type: corev1.EventTypeNormal, Reason: "CIDRNotAvailable",
				Message: "Node " + n.Name + " status is now: CIDRNotAvailable",
			})
			continue
		}
		updated := n.DeepCopy()
		for i, share := range shares {
			taken[share], next[o.ClusterCIDRs[i]] = true, share.Addr()
			updated.Spec.PodCIDRs = append(updated.Spec.PodCIDRs, share.String())
		}
		updated.Spec.PodCIDR = updated.Spec.PodCIDRs[0]
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// shares are one of each range; not ok if a range has none left.
func (o *Observed) shares(next map[netip.Prefix]netip.Addr, taken map[netip.Prefix]bool) (out []netip.Prefix, ok bool) {
	for _, cluster := range o.ClusterCIDRs {
		share, ok := firstFree(cluster, next[cluster], taken)
		if !ok {
			return nil, false
		}
		out = append(out, share)
	}
	return out, len(out) > 0
}

// firstFree is the first share at or after from that overlaps none taken.
func firstFree(cluster netip.Prefix, from netip.Addr, taken map[netip.Prefix]bool) (netip.Prefix, bool) {
	for addr := from; cluster.Contains(addr); addr = nextShare(addr) {
		share := netip.PrefixFrom(addr, shareBits(addr))
		if !overlaps(share, taken) {
			return share, true
		}
	}
	return netip.Prefix{}, false
}

func overlaps(share netip.Prefix, taken map[netip.Prefix]bool) bool {
	if taken[share] {
		return true
	}
	for p := range taken {
		if p.Bits() != share.Bits() && p.Overlaps(share) {
			return true
		}
	}
	return false
}

// nextShare is the address of the next share; the zero Addr at the end.
func nextShare(a netip.Addr) netip.Addr {
	b := a.AsSlice()
	for i := shareBits(a)/8 - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			next, _ := netip.AddrFromSlice(b)
			return next
		}
	}
	return netip.Addr{}
}
