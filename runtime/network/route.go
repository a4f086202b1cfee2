package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/runtime/follow"
)

// routeProtocol marks the routes that this package owns (see ip-route(8), proto).
const routeProtocol = 112

// Route sends a node's pod range to that node.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr
	// link, if set, is the device that Via is behind, whatever its own addresses.
	link int
}

// PlanRoutes decides the routes that the named node needs to reach the pods of
// all others, in a fixed order. A node without an address or range has none yet.
func PlanRoutes(self string, nodes []*corev1.Node) []Route {
	var out []Route
	for _, node := range nodes {
		if node.Name == self {
			continue
		}
		ips := internalIPs(node)
		for _, cidr := range podCIDRs(node) {
			dst, err := netip.ParsePrefix(cidr)
			if err != nil {
				continue
			}
			if via := slices.IndexFunc(ips, func(ip netip.Addr) bool { return ip.Is4() == dst.Addr().Is4() }); via >= 0 {
				out = append(out, Route{Dst: dst.Masked(), Via: ips[via]})
			}
		}
	}
	slices.SortFunc(out, func(a, b Route) int {
		return cmp.Or(a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Dst.Bits(), b.Dst.Bits()), a.Via.Compare(b.Via))
	})
	return slices.CompactFunc(out, func(a, b Route) bool { return a.Dst == b.Dst })
}

func podCIDRs(node *corev1.Node) []string {
	if len(node.Spec.PodCIDRs) > 0 {
		return node.Spec.PodCIDRs
	}
	if node.Spec.PodCIDR != "" {
		return []string{node.Spec.PodCIDR}
	}
	return nil
}

func internalIPs(node *corev1.Node) (out []netip.Addr) {
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// RouteController keeps the routes of one node equal to the Node objects. It
// acts in the namespace of its process.
type RouteController struct {
	self    string
	overlay bool
	nodes   corelisters.NodeLister
	changes *follow.Follower
	logger  *slog.Logger
}

// NewRouteController registers with the informer, which its caller starts. With
// overlay, packets to other nodes' pods travel in VXLAN; all nodes must agree.
func NewRouteController(self string, nodes coreinformers.NodeInformer, overlay bool, logger *slog.Logger) (*RouteController, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &RouteController{self: self, overlay: overlay, nodes: nodes.Lister(), changes: follow.New(), logger: logger}
	return c, c.changes.On(nodes.Informer(), func(old, cur any) bool { return routeRelevant(old.(*corev1.Node), cur.(*corev1.Node)) })
}

// routeRelevant keeps heartbeats from waking the controller.
func routeRelevant(old, cur *corev1.Node) bool {
	return !slices.Equal(internalIPs(old), internalIPs(cur)) || !slices.Equal(podCIDRs(old), podCIDRs(cur))
}

// Run keeps the routes until ctx ends; it leaves them, since pods run on.
func (c *RouteController) Run(ctx context.Context) error {
	return c.changes.Run(ctx, c.logger, "routes to other nodes are incomplete", func(context.Context) error {
		nodes, err := c.nodes.List(labels.Everything())
		if err != nil {
			return err
		}
		if c.overlay {
			return applyTunnels(planTunnels(c.self, nodes))
		}
		return errors.Join(removeOverlay(), applyRoutes(PlanRoutes(c.self, nodes)))
	})
}

// applyRoutes makes the routes of ours in the current namespace be exactly these.
func applyRoutes(want []Route) error {
	have, err := ownRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range want {
		if have[r.Dst] == r.Via {
			delete(have, r.Dst)
			continue
		}
		delete(have, r.Dst)
		route := &netlink.Route{Dst: ipNet(r.Dst), Gw: r.Via.AsSlice(), Protocol: routeProtocol, LinkIndex: r.link}
		if r.link != 0 {
			route.Flags = int(netlink.FLAG_ONLINK)
		}
		if err := netlink.RouteReplace(route); err != nil {
			errs = append(errs, fmt.Errorf("route %s via %s: %w", r.Dst, r.Via, err))
		}
	}
	for dst := range have {
		if err := netlink.RouteDel(&netlink.Route{Dst: ipNet(dst), Protocol: routeProtocol}); err != nil {
			errs = append(errs, fmt.Errorf("remove route %s: %w", dst, err))
		}
	}
	return errors.Join(errs...)
}

func ownRoutes() (map[netip.Prefix]netip.Addr, error) {
	filter := &netlink.Route{Protocol: routeProtocol}
	list, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	have := map[netip.Prefix]netip.Addr{}
	for _, r := range list {
		if r.Dst == nil {
			continue
		}
		addr, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		via, _ := netip.AddrFromSlice(r.Gw)
		have[netip.PrefixFrom(addr.Unmap(), bits)] = via.Unmap()
	}
	return have, nil
}

// RemoveRoutes deletes every route of ours in the current namespace, and the overlay.
func RemoveRoutes() error { return errors.Join(applyRoutes(nil), removeOverlay()) }
