package network

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
)

// Defaults that a single cluster on a machine uses.
const (
	DefaultPodBridge  = "pintle0"
	DefaultNodeBridge = "pintle-nodes"
	DefaultTable      = "pintle-network"
	DefaultPluginDir  = "/usr/lib/cni"
)

// DefaultNodeSubnet is where the nodes of one machine meet; its first address
// is the machine's own (node 0, the API server and DNS as pods see them).
var DefaultNodeSubnet = netip.MustParsePrefix("10.200.0.0/24")

// DefaultClusterCIDR is the range that nodes' pod ranges are cut from.
var DefaultClusterCIDR = netip.MustParsePrefix("10.244.0.0/16")

// DefaultServiceCIDR is the range of Service cluster addresses.
var DefaultServiceCIDR = netip.MustParsePrefix("10.96.0.0/16")

// The same ranges of a cluster whose pods have IPv6 addresses too.
var (
	DefaultNodeSubnet6  = netip.MustParsePrefix("fd00:10:200::/64")
	DefaultClusterCIDR6 = netip.MustParsePrefix("fd00:10:244::/48")
	DefaultServiceCIDR6 = netip.MustParsePrefix("fd00:10:96::/112")
)

// maxLinkName is the kernel's limit for an interface name.
const maxLinkName = 15

// Config is what one node's pod network needs to know.
type Config struct {
	// DataDir is a folder of this node alone; created when missing.
	DataDir string
	// PodCIDRs are this node's shares of the cluster's ranges: of IPv4, then, if pods
	// have such addresses too, of IPv6. They may be left empty and set later with
	// SetPodCIDRs; until then Setup answers ErrNoPodCIDR.
	PodCIDRs []netip.Prefix
	// ClusterCIDR and ClusterCIDR6 hold every pod address; traffic inside them is
	// never masqueraded.
	ClusterCIDR, ClusterCIDR6 netip.Prefix
	// NodeSubnet and NodeSubnet6 hold the nodes of this machine; not masqueraded
	// either.
	NodeSubnet, NodeSubnet6 netip.Prefix
	// Overlay leaves room in pods' packets for the headers of VXLAN.
	Overlay bool
	// Bridge is the pod bridge's name inside the node's namespace.
	Bridge string
	// Table is the name of the nftables table that this package owns.
	Table string
	// PluginDirs are searched for CNI plugins, first match wins.
	PluginDirs []string
	// ConfDir may hold a conflist of the user's (*.conflist), which then
	// replaces the built-in one; the first by name is taken.
	ConfDir string
	Logger  *slog.Logger
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	if c.Bridge == "" {
		c.Bridge = DefaultPodBridge
	}
	if c.Table == "" {
		c.Table = DefaultTable
	}
	if len(c.PluginDirs) == 0 {
		c.PluginDirs = []string{DefaultPluginDir, "/opt/cni/bin", "/usr/libexec/cni"}
	}
	if !c.ClusterCIDR.IsValid() {
		c.ClusterCIDR = DefaultClusterCIDR
	}
	if !c.NodeSubnet.IsValid() {
		c.NodeSubnet = DefaultNodeSubnet
	}
	if !c.ClusterCIDR6.IsValid() {
		c.ClusterCIDR6 = DefaultClusterCIDR6
	}
	if !c.NodeSubnet6.IsValid() {
		c.NodeSubnet6 = DefaultNodeSubnet6
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.DataDir == "" || !filepath.IsAbs(c.DataDir) {
		errs = append(errs, fmt.Errorf("network data folder %q: an absolute path is needed", c.DataDir))
	}
	if len(c.Bridge) > maxLinkName {
		errs = append(errs, fmt.Errorf("bridge name %q: at most %d characters", c.Bridge, maxLinkName))
	}
	if len(c.PodCIDRs) > 0 {
		errs = append(errs, c.checkPodCIDRs(c.PodCIDRs))
	}
	return errors.Join(errs...)
}

// checkPodCIDRs refuses anything but a range of IPv4, and perhaps one of IPv6.
func (c Config) checkPodCIDRs(cidrs []netip.Prefix) error {
	if len(cidrs) == 0 || len(cidrs) > 2 || !cidrs[0].Addr().Is4() {
		return fmt.Errorf("pod ranges %v: want one of IPv4, and perhaps one of IPv6 after it", cidrs)
	}
	if err := checkPodCIDR(cidrs[0], c.ClusterCIDR); err != nil || len(cidrs) == 1 {
		return err
	}
	return checkPodCIDR(cidrs[1], c.ClusterCIDR6)
}

// checkPodCIDR refuses ranges that host-local could not hand addresses out of.
func checkPodCIDR(pod, cluster netip.Prefix) error {
	if pod.Addr().BitLen()-pod.Bits() < 3 {
		return fmt.Errorf("pod range %s: too small, /29 (IPv6: /125) at least", pod)
	}
	if !cluster.Overlaps(pod) || pod.Bits() < cluster.Bits() {
		return fmt.Errorf("pod range %s is not inside the cluster's range %s", pod, cluster)
	}
	return nil
}

// NodePodCIDR is the /24 of the cluster's range that belongs to the node with
// this index; false when the range has no such share.
func NodePodCIDR(cluster netip.Prefix, index int) (netip.Prefix, bool) {
	const shareBits = 24
	if !cluster.Addr().Is4() || cluster.Bits() > shareBits || index < 0 || index >= 1<<(shareBits-cluster.Bits()) {
		return netip.Prefix{}, false
	}
	a := cluster.Masked().Addr().As4()
	base := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8
	base += uint32(index) << (32 - shareBits)
	addr := netip.AddrFrom4([4]byte{byte(base >> 24), byte(base >> 16), byte(base >> 8), byte(base)})
	return netip.PrefixFrom(addr, shareBits), true
}

// nthAddr is the n-th address of a prefix, counted from its network address.
func nthAddr(p netip.Prefix, n int) netip.Addr {
	a := p.Masked().Addr()
	for range n {
		a = a.Next()
	}
	return a
}
