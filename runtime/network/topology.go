package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vishvananda/netlink"
)

// TopologyConfig says where the nodes of one machine meet.
type TopologyConfig struct {
	// DataDir is a folder of the topology alone; created when missing.
	DataDir string
	// Subnet is the node network: .1 is the machine (node 0 and the gateway),
	// node i has address i+1.
	Subnet      netip.Prefix
	ClusterCIDR netip.Prefix
	ServiceCIDR netip.Prefix
	// DualStack gives nodes IPv6 addresses of DefaultNodeSubnet6 too, in the same order.
	DualStack bool
	// Bridge is the node bridge's name, PodBridge that of node 0's pods.
	Bridge, PodBridge string
	// Table is the name of the nftables table for the machine's side.
	Table string
}

// Topology is the node network of one machine.
type Topology struct{ cfg TopologyConfig }

// NodePlace is where a node lives.
type NodePlace struct {
	Name string
	// NetnsPath is the node's namespace; empty for node 0, the machine itself.
	NetnsPath string
	IP        netip.Addr
	// IP6 is not valid if nodes have none.
	IP6 netip.Addr
}

// NewTopology changes nothing yet.
func NewTopology(cfg TopologyConfig) *Topology {
	if !cfg.Subnet.IsValid() {
		cfg.Subnet = DefaultNodeSubnet
	}
	if !cfg.ClusterCIDR.IsValid() {
		cfg.ClusterCIDR = DefaultClusterCIDR
	}
	if !cfg.ServiceCIDR.IsValid() {
		cfg.ServiceCIDR = DefaultServiceCIDR
	}
	if cfg.Bridge == "" {
		cfg.Bridge = DefaultNodeBridge
	}
	if cfg.PodBridge == "" {
		cfg.PodBridge = DefaultPodBridge
	}
	if cfg.Table == "" {
		cfg.Table = "pintle-nodes"
	}
	return &Topology{cfg: cfg}
}

// Gateway is the machine's address as nodes and pods see it: node 0's address,
// and where the API server and DNS listen for pods.
func (t *Topology) Gateway() netip.Addr { return nthAddr(t.cfg.Subnet, 1) }

// NodeIP is the address of the node with this index.
func (t *Topology) NodeIP(index int) netip.Addr { return nthAddr(t.cfg.Subnet, 1+index) }

// nodeIP6 is the IPv6 address of the node with this index; not valid if nodes have
// none.
func (t *Topology) nodeIP6(index int) netip.Addr {
	if !t.cfg.DualStack {
		return netip.Addr{}
	}
	return nthAddr(DefaultNodeSubnet6, 1+index)
}

// families are the ranges of what the machine joins: nodes, pods, Services.
func (t *Topology) families() []addressing {
	out := []addressing{{t.cfg.Subnet, t.cfg.ClusterCIDR, t.cfg.ServiceCIDR}}
	if t.cfg.DualStack {
		out = append(out, addressing{DefaultNodeSubnet6, DefaultClusterCIDR6, DefaultServiceCIDR6})
	}
	return out
}

type addressing struct{ nodes, pods, services netip.Prefix }

func (a addressing) gateway() netip.Addr { return nthAddr(a.nodes, 1) }

func (t *Topology) netnsDir() string { return filepath.Join(t.cfg.DataDir, "netns") }

func (t *Topology) netnsPath(name string) string { return filepath.Join(t.netnsDir(), name) }

// Up makes the node bridge with the gateway address and the machine's rules. It
// may be called again at any time.
func (t *Topology) Up(ctx context.Context) error {
	if err := os.MkdirAll(t.cfg.DataDir, 0o700); err != nil {
		return err
	}
	if err := enableForwarding(ctx, t.cfg.DualStack); err != nil {
		return err
	}
	var subnets []netip.Prefix
	for _, a := range t.families() {
		subnets = append(subnets, a.nodes)
	}
	if err := ensureBridge(t.cfg.Bridge, gateways(subnets), uplinkMTU(), t.cfg.DataDir); err != nil {
		return err
	}
	if err := admitBridge(ctx, t.cfg.Bridge); err != nil {
		return err
	}
	for _, a := range t.families() {
		if err := t.routeServices(a); err != nil {
			return err
		}
		if err := applyTable(ctx, t.cfg.Table, nodeTable(t.cfg.Bridge, a.nodes, a.pods, t.cfg.PodBridge)); err != nil {
			return fmt.Errorf("set up the node network's rules: %w", err)
		}
	}
	return nil
}

// routeServices makes Service addresses routable on a machine without a default
// route: a connection needs some route before Service rules may rewrite it.
func (t *Topology) routeServices(a addressing) error {
	_, err := netlink.RouteGet(a.services.Addr().AsSlice())
	if err == nil {
		return nil
	}
	link, err := netlink.LinkByName(t.cfg.Bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", t.cfg.Bridge, err)
	}
	err = netlink.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index,
		Dst:       ipNet(a.services.Masked()),
		Src:       a.gateway().AsSlice(),
	})
	if err != nil {
		return fmt.Errorf("route Service addresses to bridge %s: %w", t.cfg.Bridge, err)
	}
	return nil
}

// CreateNode gives the node with this index its place. Index 0 is the machine
// itself; any other gets a namespace with eth0 on the node bridge and a default
// route through the machine. What is already there is kept.
func (t *Topology) CreateNode(ctx context.Context, name string, index int) (NodePlace, error) {
	place := NodePlace{Name: name, IP: t.NodeIP(index), IP6: t.nodeIP6(index)}
	if !t.cfg.Subnet.Contains(place.IP) {
		return place, fmt.Errorf("node %s: the node network %s has no room for index %d", name, t.cfg.Subnet, index)
	}
	if index == 0 {
		return place, nil
	}
	place.NetnsPath = t.netnsPath(name)
	if err := createNetns(place.NetnsPath); err != nil {
		return place, fmt.Errorf("node %s: %w", name, err)
	}
	if err := t.connect(place, index); err != nil {
		err = fmt.Errorf("connect node %s: %w", name, err)
		return place, errors.Join(err, t.DestroyNode(ctx, name))
	}
	return place, nil
}

// connect joins the node's namespace to the bridge, unless it is joined.
func (t *Topology) connect(place NodePlace, index int) error {
	configure := func() error { return InNetns(place.NetnsPath, func() error { return t.configureUplink(place) }) }
	if nodeConnected(place) {
		return configure()
	}
	bridge, err := netlink.LinkByName(t.cfg.Bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", t.cfg.Bridge, err)
	}
	ns, err := os.Open(place.NetnsPath)
	if err != nil {
		return err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = t.vethName(index)
	attrs.MTU = bridge.Attrs().MTU
	attrs.MasterIndex = bridge.Attrs().Index
	if old, err := netlink.LinkByName(attrs.Name); err == nil && old.Attrs().MasterIndex == attrs.MasterIndex {
		// Left from a namespace that is gone; its number is ours.
		if err := removeLink(old); err != nil {
			return err
		}
	}
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: podInterface, PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add link %s: %w", attrs.Name, err)
	}
	// A node's pod may be answered by its own node through another's node port: the
	// bridge then has to send a frame out where it came in.
	if err := netlink.LinkSetHairpin(veth, true); err != nil {
		return fmt.Errorf("set hairpin mode of link %s: %w", attrs.Name, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return err
	}
	return configure()
}

// SetLink cuts the node with this index off from all others, or heals its link.
// The first node is the machine itself and has none.
func (t *Topology) SetLink(index int, up bool) error {
	link, err := netlink.LinkByName(t.vethName(index))
	if err != nil {
		return fmt.Errorf("link of the node: %w", err)
	}
	if up {
		return netlink.LinkSetUp(link)
	}
	return netlink.LinkSetDown(link)
}

func (t *Topology) vethName(index int) string {
	return t.cfg.Bridge[:min(len(t.cfg.Bridge), maxLinkName-4)] + strconv.Itoa(index)
}

// nodeConnected reports whether the node's namespace has its address on eth0.
func nodeConnected(place NodePlace) bool {
	found := errors.New("found")
	err := InNetns(place.NetnsPath, func() error {
		link, err := netlink.LinkByName(podInterface)
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.IP.Equal(net.IP(place.IP.AsSlice())) {
				return found
			}
		}
		return nil
	})
	return errors.Is(err, found)
}

// configureUplink runs inside the node's namespace.
func (t *Topology) configureUplink(place NodePlace) error {
	link, err := netlink.LinkByName(podInterface)
	if err != nil {
		return err
	}
	ips := []netip.Addr{place.IP, place.IP6}
	for i, a := range t.families() {
		if err := addAddress(link, netip.PrefixFrom(ips[i], a.nodes.Bits())); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, a := range t.families() {
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: a.gateway().AsSlice()}); err != nil {
			return fmt.Errorf("route through %s: %w", a.gateway(), err)
		}
	}
	return nil
}

// Nodes lists the namespaces of nodes that exist, also those that an earlier
// process made: what `down` has to go through. Node 0 has none.
func (t *Topology) Nodes() ([]NodePlace, error) {
	entries, err := os.ReadDir(t.netnsDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []NodePlace
	for _, e := range entries {
		out = append(out, NodePlace{Name: e.Name(), NetnsPath: t.netnsPath(e.Name())})
	}
	return out, nil
}

// DestroyNode removes the node's namespace, and with it its links, rules and
// routes. Processes started inside must have ended before.
func (t *Topology) DestroyNode(_ context.Context, name string) error {
	if err := deleteNetns(t.netnsPath(name)); err != nil {
		return fmt.Errorf("remove node %s: %w", name, err)
	}
	return nil
}

// Down removes every node, the bridge, the rules and the data folder.
func (t *Topology) Down(ctx context.Context) error {
	nodes, err := t.Nodes()
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if err := t.DestroyNode(ctx, node.Name); err != nil {
			return err
		}
	}
	if err := t.dropPorts(); err != nil {
		return err
	}
	if err := deleteLink(t.cfg.Bridge, t.cfg.DataDir); err != nil {
		return err
	}
	if err := forgetBridge(ctx, t.cfg.Bridge); err != nil {
		return err
	}
	if err := deleteTable(ctx, t.cfg.Table); err != nil {
		return err
	}
	return os.RemoveAll(t.cfg.DataDir)
}

// dropPorts deletes the bridge's ports at once: the kernel frees a namespace,
// and the links in it, only some time after it was let go.
func (t *Topology) dropPorts() error {
	bridge, err := netlink.LinkByName(t.cfg.Bridge)
	if err != nil || bridge.Attrs().Alias != ownerAlias(t.cfg.DataDir) {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex != bridge.Attrs().Index {
			continue
		}
		if err := removeLink(l); err != nil {
			return fmt.Errorf("delete link %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}
