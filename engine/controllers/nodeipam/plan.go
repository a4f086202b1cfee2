// Package nodeipam gives every node a pod address range: the lowest free /24 of
// the cluster's range. Nodes that only pretend to run pods get none.
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

// shareBits is the prefix length of a node's share.
const shareBits = 24

// Observed is every node, and the range that shares are cut from.
type Observed struct {
	Nodes       []*corev1.Node
	ClusterCIDR netip.Prefix
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
	next := o.ClusterCIDR.Masked().Addr()
	for _, n := range waiting {
		share, ok := firstFree(o.ClusterCIDR, next, taken)
		if !ok {
			result.Add(reconcile.Event{
				About: n, Type: corev1.EventTypeNormal, Reason: "CIDRNotAvailable",
				Message: "Node " + n.Name + " status is now: CIDRNotAvailable",
			})
			continue
		}
		taken[share], next = true, share.Addr()
		updated := n.DeepCopy()
		updated.Spec.PodCIDR, updated.Spec.PodCIDRs = share.String(), []string{share.String()}
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// firstFree is the first share at or after from that overlaps none taken.
func firstFree(cluster netip.Prefix, from netip.Addr, taken map[netip.Prefix]bool) (netip.Prefix, bool) {
	for addr := from; cluster.Contains(addr); addr = nextShare(addr) {
		share := netip.PrefixFrom(addr, shareBits)
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
		if p.Bits() != shareBits && p.Overlaps(share) {
			return true
		}
	}
	return false
}

// nextShare is the address 2^(32-shareBits) further on; the zero Addr at the end.
func nextShare(a netip.Addr) netip.Addr {
	b := a.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	sum := n + 1<<(32-shareBits)
	if sum < n {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}
