package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// prepare brings up what all pods of the node share: kernel settings, the
// bridge, the nftables table. It works once per process and pod range.
func (n *Network) prepare(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.prepared {
		return nil
	}
	if len(n.mu.podCIDRs) == 0 {
		return ErrNoPodCIDR
	}
	if err := enableForwarding(ctx, len(n.mu.podCIDRs) > 1); err != nil {
		return err
	}
	if !n.cni.custom() {
		if err := ensureBridge(n.cfg.Bridge, gateways(n.mu.podCIDRs), n.mtu(), n.cfg.DataDir); err != nil {
			return err
		}
		if err := admitBridge(ctx, n.cfg.Bridge); err != nil {
			return err
		}
	}
	if err := n.applyRulesLocked(ctx); err != nil {
		return fmt.Errorf("set up masquerade and host ports: %w", err)
	}
	n.mu.prepared = true
	return nil
}

// conflist is the built-in network for the current pod range; before there is a
// range it still names the network whose leases are to be released.
func (n *Network) conflist() []byte {
	n.mu.Lock()
	cidrs := n.mu.podCIDRs
	n.mu.Unlock()
	if len(cidrs) == 0 {
		cidrs = []netip.Prefix{n.cfg.ClusterCIDR}
	}
	list, err := bridgeConflist(bridgeSettings{
		bridge:  n.cfg.Bridge,
		cidrs:   cidrs,
		ipamDir: n.ipamDir(),
		mtu:     n.mtu(),
	})
	if err != nil {
		panic("marshal the built-in conflist: " + err.Error()) // plain strings and numbers
	}
	return list
}

// mtu is the size of pods' packets.
func (n *Network) mtu() int {
	if n.cfg.Overlay {
		return overlayMTU()
	}
	return uplinkMTU()
}

// syncRules brings the table up to date after host ports came or went.
func (n *Network) syncRules(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.applyRulesLocked(ctx); err != nil {
		return fmt.Errorf("forward host ports: %w", err)
	}
	return nil
}

// applyRulesLocked writes the table of each family that pods have; n.mu is held.
func (n *Network) applyRulesLocked(ctx context.Context) error {
	for _, cidr := range n.mu.podCIDRs {
		in := podRules{family: familyOf(cidr.Addr()), bridge: n.cfg.Bridge, podCIDR: cidr, inside: []netip.Prefix{n.cfg.ClusterCIDR, n.cfg.NodeSubnet}}
		if cidr.Addr().Is6() {
			in.inside = []netip.Prefix{n.cfg.ClusterCIDR6, n.cfg.NodeSubnet6}
		}
		if !n.cni.custom() {
			for _, rec := range n.mu.pods {
				in.forwards = append(in.forwards, hostForwards(in.family, rec)...)
			}
		}
		if err := applyTable(ctx, n.cfg.Table, podTable(in)); err != nil {
			return err
		}
	}
	return nil
}

// enableForwarding lets the kernel route for pods and lets Service rules see
// traffic between pods of one bridge. Forwarding stays on after `down`: others
// (Docker, a VPN) may have come to rely on it. With six, also for IPv6.
func enableForwarding(ctx context.Context, six bool) error {
	if err := setSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	if six {
		if err := setSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
			return fmt.Errorf("pods cannot have IPv6 addresses here: %w", err)
		}
	}
	const bridgeCalls = "net/bridge/bridge-nf-call-iptables"
	if !exists(filepath.Join("/proc/sys", bridgeCalls)) {
		// In a namespace or container without modprobe the module may be built in.
		_ = exec.CommandContext(ctx, "modprobe", "br_netfilter").Run()
	}
	err := setSysctl(bridgeCalls, "1")
	if six && err == nil {
		err = setSysctl("net/bridge/bridge-nf-call-ip6tables", "1")
	}
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("the kernel module br_netfilter is missing: without it Services do not work between pods of one node; load it with `modprobe br_netfilter`")
	}
	return err
}

// setSysctl writes a setting of the calling thread's namespace, if it differs.
func setSysctl(key, value string) error {
	path := filepath.Join("/proc/sys", key)
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read kernel setting %s: %w", key, err)
	}
	if strings.TrimSpace(string(old)) == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set kernel setting %s to %s: %w", key, value, err)
	}
	return nil
}

// gateways are the bridge's own addresses: the first of each range.
func gateways(cidrs []netip.Prefix) (out []netip.Prefix) {
	for _, cidr := range cidrs {
		out = append(out, netip.PrefixFrom(nthAddr(cidr, 1), cidr.Bits()))
	}
	return out
}

// ensureBridge makes the bridge with its addresses, or checks that the one there
// is ours: the owner (a data folder) is kept as the link's alias.
func ensureBridge(name string, addrs []netip.Prefix, mtu int, owner string) error {
	alias := ownerAlias(owner)
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		link, err = addBridge(name, mtu, alias)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	if got := link.Attrs().Alias; got != alias {
		return fmt.Errorf("bridge %s belongs to %q, not to %q: end the other cluster with `pintle down`, or choose another bridge name", name, got, alias)
	}
	if link.Attrs().MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("set the MTU of bridge %s to %d: %w", name, mtu, err)
		}
	}
	for _, addr := range addrs {
		if err := addAddress(link, addr); err != nil {
			return fmt.Errorf("give bridge %s the address %s: %w", name, addr, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring bridge %s up: %w", name, err)
	}
	// Replies to node ports and host ports reached over 127.0.0.1 come back here;
	// podTable and nodeTable drop what pods send to 127.0.0.0/8 themselves.
	return setSysctl("net/ipv4/conf/"+name+"/route_localnet", "1")
}

// addAddress gives the link an address that is good at once: that nobody else has it
// follows from how it was chosen.
func addAddress(link netlink.Link, addr netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(addr)}
	if addr.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return netlink.AddrReplace(link, a)
}

// ownerAlias is how a link names its data folder; the kernel takes 255 bytes.
func ownerAlias(dir string) string {
	const room = 255 - len("pintle:")
	if len(dir) > room {
		sum := sha256.Sum256([]byte(dir))
		dir = hex.EncodeToString(sum[:])
	}
	return "pintle:" + dir
}

// addBridge gives the bridge a fixed hardware address, so that it does not
// change with the ports that come and go.
func addBridge(name string, mtu int, alias string) (netlink.Link, error) {
	sum := sha256.Sum256([]byte(name + alias))
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.MTU = mtu
	attrs.HardwareAddr = net.HardwareAddr{0x0a, 0x58, sum[0], sum[1], sum[2], sum[3]}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkSetAlias(link, alias); err != nil {
		return nil, err
	}
	return netlink.LinkByName(name)
}

// deleteLink removes a link of ours; no error when it is not there.
func deleteLink(name, owner string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	if link.Attrs().Alias != ownerAlias(owner) {
		return nil
	}
	if err := removeLink(link); err != nil {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

// removeLink deletes a link. That it went meanwhile, as the end of a veth pair does
// with the other end's namespace, is no error.
func removeLink(link netlink.Link) error {
	err := netlink.LinkDel(link)
	if errors.Is(err, unix.ENODEV) || errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	return err
}

// uplinkMTU is the MTU of the link with the default route, so that pods do not
// send what the machine cannot pass on; 1500 when there is none.
func uplinkMTU() int {
	const usual = 1500
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return usual
	}
	for _, r := range routes {
		if r.Dst != nil && r.Dst.IP != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			return link.Attrs().MTU
		}
	}
	return usual
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
