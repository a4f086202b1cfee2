package proxy

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pintle-io/pintle/runtime/endpoint"
)

// flowFilter names UDP flows that must be forgotten. UDP has no end, so without
// this a client that keeps its port stays bound to an endpoint that is gone, or
// to nothing, for as long as it keeps sending.
type flowFilter struct {
	// fronts: destination of the client's packets -> endpoints it may stay with.
	fronts map[netip.AddrPort]map[netip.AddrPort]bool
	// nodePorts: the same for any address of the node.
	nodePorts map[uint16]map[netip.AddrPort]bool
}

// staleFlows decides which UDP flows the step from old to cur makes wrong: those
// to a port whose endpoints changed, unless bound to one it still has.
func staleFlows(old, cur []servicePort) flowFilter {
	out := flowFilter{map[netip.AddrPort]map[netip.AddrPort]bool{}, map[uint16]map[netip.AddrPort]bool{}}
	was := map[string]servicePort{}
	for _, p := range old {
		if p.protocol == "udp" {
			was[p.id()] = p
		}
	}
	for _, p := range cur {
		if p.protocol != "udp" {
			continue
		}
		prev, had := was[p.id()]
		delete(was, p.id())
		if now := endpointSet(p.cluster); !had || !sameEndpoints(endpointSet(prev.cluster), now) {
			out.add(p, now)
		}
	}
	for _, p := range was {
		out.add(p, nil)
	}
	return out
}

func (f flowFilter) add(p servicePort, keep map[netip.AddrPort]bool) {
	ips := append([]netip.Addr{p.clusterIP}, p.externalIPs...)
	for _, ip := range append(ips, p.loadBalancerIPs...) {
		f.fronts[netip.AddrPortFrom(ip, p.number)] = keep
	}
	if p.nodePort != 0 {
		f.nodePorts[p.nodePort] = keep
	}
}

func endpointSet(eps []endpoint.Endpoint) map[netip.AddrPort]bool {
	out := map[netip.AddrPort]bool{}
	for _, ep := range eps {
		out[ep.Addr] = true
	}
	return out
}

func sameEndpoints(a, b map[netip.AddrPort]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	dst, _ := netip.AddrFromSlice(flow.Forward.DstIP)
	src, _ := netip.AddrFromSlice(flow.Reverse.SrcIP)
	keep, ok := f.fronts[netip.AddrPortFrom(dst.Unmap(), flow.Forward.DstPort)]
	if !ok {
		keep, ok = f.nodePorts[flow.Forward.DstPort]
	}
	return ok && !keep[netip.AddrPortFrom(src.Unmap(), flow.Reverse.SrcPort)]
}

// dropFlows forgets the flows; the kernel's table is read only if some may match.
func dropFlows(f family, filter flowFilter) error {
	if len(filter.fronts) == 0 && len(filter.nodePorts) == 0 {
		return nil
	}
	var inet netlink.InetFamily = unix.AF_INET
	if f.addrType == ipv6.addrType {
		inet = unix.AF_INET6
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, inet, filter)
	if err != nil && !errors.Is(err, unix.ENOENT) { // a flow may end while we look
		return fmt.Errorf("forget stale UDP flows: %w", err)
	}
	return nil
}
