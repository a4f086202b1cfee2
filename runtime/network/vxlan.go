package network

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// The overlay's device, in the namespace of each node.
const (
	overlayLink = "pintle-vxlan"
	overlayID   = 112
	overlayPort = 8472 // the kernel's own default, which flannel uses too
	// overlayBytes is what the outer headers take of a packet (over IPv4).
	overlayBytes = 50
)

// tunnel is the way to the pods of another node through the overlay. All of it
// follows from the Node object, so nodes tell each other nothing more.
type tunnel struct {
	node netip.Addr // where the packets are sent
	mac  string     // the device's there
	// pods are the ranges behind it. The network address of each stands for the
	// device there: no pod is given it.
	pods []netip.Prefix
}

// overlayMAC is the hardware address of the overlay's device on the node with this
// address.
func overlayMAC(node netip.Addr) net.HardwareAddr {
	sum := sha256.Sum256([]byte("pintle overlay " + node.String()))
	return net.HardwareAddr{0x0a, 0x58, sum[0], sum[1], sum[2], sum[3]}
}

// planTunnels decides the tunnels of the named node, in a fixed order, and its own end.
func planTunnels(self string, nodes []*corev1.Node) (own tunnel, others []tunnel) {
	for _, node := range nodes {
		t := tunnel{}
		if ips := internalIPs(node); len(ips) > 0 && ips[0].Is4() {
			t.node, t.mac = ips[0], overlayMAC(ips[0]).String()
		}
		for _, cidr := range podCIDRs(node) {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				t.pods = append(t.pods, p.Masked())
			}
		}
		if !t.node.IsValid() || len(t.pods) == 0 {
			continue
		}
		if node.Name == self {
			own = t
		} else {
			others = append(others, t)
		}
	}
	slices.SortFunc(others, func(a, b tunnel) int { return a.node.Compare(b.node) })
	return own, others
}

// applyTunnels makes the overlay of the current namespace be exactly this. Before the
// node has an address and a range there is nothing to make.
func applyTunnels(own tunnel, others []tunnel) error {
	if !own.node.IsValid() {
		return nil
	}
	link, err := ensureOverlay(own)
	if err != nil {
		return fmt.Errorf("overlay device %s: %w", overlayLink, err)
	}
	var routes []Route
	neighbours := map[neighbour]bool{}
	for _, t := range others {
		neighbours[neighbour{unix.AF_BRIDGE, t.node, t.mac}] = true
		for _, pods := range t.pods {
			family := unix.AF_INET
			if pods.Addr().Is6() {
				family = unix.AF_INET6
			}
			neighbours[neighbour{family, pods.Addr(), t.mac}] = true
			routes = append(routes, Route{Dst: pods, Via: pods.Addr(), link: link.Attrs().Index})
		}
	}
	return errors.Join(applyNeighbours(link.Attrs().Index, neighbours), applyRoutes(routes))
}

// ensureOverlay makes the device, anew if it was made for another address.
func ensureOverlay(own tunnel) (netlink.Link, error) {
	link, err := netlink.LinkByName(overlayLink)
	if old, ok := link.(*netlink.Vxlan); err == nil && (!ok || !old.SrcAddr.Equal(own.node.AsSlice())) {
		if err := removeLink(link); err != nil {
			return nil, err
		}
		link = nil
	} else if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, err
	}
	if link == nil || err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr, attrs.MTU = overlayLink, overlayMAC(own.node), overlayMTU()
		if err := netlink.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: overlayID, Port: overlayPort, SrcAddr: own.node.AsSlice()}); err != nil {
			return nil, fmt.Errorf("this kernel may lack VXLAN (host-gateway routes need none): %w", err)
		}
		if link, err = netlink.LinkByName(overlayLink); err != nil {
			return nil, err
		}
	}
	for _, pods := range own.pods {
		if pods.Addr().Is4() { // what the node itself sends to pods elsewhere is answered this way
			if err := addAddress(link, netip.PrefixFrom(pods.Addr(), 32)); err != nil {
				return nil, err
			}
		}
	}
	return link, netlink.LinkSetUp(link)
}

// overlayMTU is what is left of the uplink's packets.
func overlayMTU() int { return uplinkMTU() - overlayBytes }

// neighbour says at which hardware address an address is (of the families IPv4 and
// IPv6), or behind which node a hardware address is (of the family of bridges).
type neighbour struct {
	family int
	ip     netip.Addr
	mac    string
}

func (n neighbour) entry(link int) (*netlink.Neigh, error) {
	mac, err := net.ParseMAC(n.mac)
	if err != nil {
		return nil, err
	}
	e := &netlink.Neigh{LinkIndex: link, Family: n.family, State: netlink.NUD_PERMANENT, IP: n.ip.AsSlice(), HardwareAddr: mac}
	if n.family == unix.AF_BRIDGE {
		e.Flags = netlink.NTF_SELF
	}
	return e, nil
}

// applyNeighbours makes the permanent neighbours on the link be exactly these.
func applyNeighbours(link int, want map[neighbour]bool) error {
	var errs []error
	for _, family := range []int{unix.AF_BRIDGE, unix.AF_INET, unix.AF_INET6} {
		list, err := netlink.NeighList(link, family)
		if err != nil {
			return fmt.Errorf("list neighbours: %w", err)
		}
		for _, e := range list {
			ip, _ := netip.AddrFromSlice(e.IP)
			had := neighbour{family, ip.Unmap(), e.HardwareAddr.String()}
			if e.State&netlink.NUD_PERMANENT != 0 && ip.IsValid() && !want[had] {
				e.Family = family
				errs = append(errs, netlink.NeighDel(&e))
			}
		}
	}
	for n := range want {
		e, err := n.entry(link)
		if err == nil {
			err = netlink.NeighSet(e)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("neighbour %s: %w", n.ip, err))
		}
	}
	return errors.Join(errs...)
}

// removeOverlay takes the device away, and with it routes and neighbours.
func removeOverlay() error {
	link, err := netlink.LinkByName(overlayLink)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	return removeLink(link)
}
