package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pintle-io/pintle/engine/controllers/serviceloadbalancer"
	"github.com/pintle-io/pintle/runtime/network"
)

// Version is what `pintle --version` prints.
const Version = "0.1.0 (Kubernetes v1.37.2)"

// Addresses of a cluster that are not configurable yet.
const (
	ClusterDomain  = "cluster.local"
	ServiceCIDR    = "10.96.0.0/16"
	KubernetesIP   = "10.96.0.1"
	ClusterDNSIP   = "10.96.0.10"
	PodCIDR        = "10.244.0.0/16"
	DefaultListen  = "127.0.0.1:6443"
	maxNodes       = 64
	maxFakeNodes   = 20000
	defaultDataDir = "/var/lib/pintle"
)

// Config is everything a user can choose about a cluster on this machine.
type Config struct {
	DataDir    string
	Listen     string
	Kubeconfig string // empty: in the data directory
	// DualStack gives nodes, pods and Services that want them IPv6 addresses too.
	DualStack bool
	// Overlay carries packets between pods of different nodes in VXLAN.
	Overlay bool
	// Nodes run containers; FakeNodes only report that they do.
	Nodes     int
	FakeNodes int
	// SchedulerModule is a Wasm file that replaces the built-in strategy.
	SchedulerModule string
	Security        Security
	Store           StoreConfig
	// LoadBalancerPool is what Services of type LoadBalancer get addresses from:
	// CIDRs, FIRST-LAST or addresses, divided by commas. Without one they wait.
	LoadBalancerPool string
}

// Validate names the flag that is wrong and what it takes.
func (c Config) Validate() error {
	if c.DataDir == "" || !filepath.IsAbs(c.DataDir) {
		return fmt.Errorf("--data %q: want an absolute directory", c.DataDir)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: want ADDR:PORT, for example %s", c.Listen, DefaultListen)
	}
	if net.ParseIP(host) == nil {
		return fmt.Errorf("--listen %q: %q is not an IP address", c.Listen, host)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("--listen %q: %q is not a port (0 to 65535)", c.Listen, port)
	}
	if c.Nodes < 0 || c.Nodes > maxNodes {
		return fmt.Errorf("--nodes %d: want 0 to %d", c.Nodes, maxNodes)
	}
	if c.FakeNodes < 0 || c.FakeNodes > maxFakeNodes {
		return fmt.Errorf("--fake-nodes %d: want 0 to %d", c.FakeNodes, maxFakeNodes)
	}
	if err := c.Security.validate(); err != nil {
		return err
	}
	if err := c.Store.validate(); err != nil {
		return err
	}
	if _, err := serviceloadbalancer.ParsePool(c.LoadBalancerPool); err != nil {
		return fmt.Errorf("--load-balancer-pool: %w", err)
	}
	if err := c.validateModule(); err != nil {
		return fmt.Errorf("--scheduler-module: %w", err)
	}
	if c.Nodes > 0 && os.Geteuid() != 0 {
		return errors.New("running containers needs root (network namespaces, mounts, cgroups): run it with sudo, " +
			"or start the control plane alone with `pintle server`, or use --nodes 0 --fake-nodes 1 to try the API")
	}
	return nil
}

// validateModule refuses what is no WebAssembly at all before anything is
// started; a module that breaks the contract is found out when it is loaded.
func (c Config) validateModule() error {
	if c.SchedulerModule == "" {
		return nil
	}
	f, err := os.Open(c.SchedulerModule)
	if err != nil {
		return err
	}
	defer f.Close()
	const magic = "\x00asm\x01\x00\x00\x00"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != magic {
		return fmt.Errorf("%s is not a WebAssembly module; `go build -buildmode=c-shared` with GOOS=wasip1 GOARCH=wasm makes one", c.SchedulerModule)
	}
	return nil
}

// DefaultDataDir is a system directory for root and one in the user's home for
// everybody else.
func DefaultDataDir() string {
	if dir := os.Getenv("PINTLE_DATA"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return defaultDataDir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "pintle")
	}
	return filepath.Join(os.TempDir(), "pintle")
}

// podCIDRs are the ranges of pods, of IPv4 first.
func podCIDRs(dual bool) []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix(PodCIDR)}
	if dual {
		out = append(out, network.DefaultClusterCIDR6)
	}
	return out
}

// serviceCIDRs are the ranges of Services, of IPv4 first.
func serviceCIDRs(dual bool) []string {
	out := []string{ServiceCIDR}
	if dual {
		out = append(out, network.DefaultServiceCIDR6.String())
	}
	return out
}

// The layout of a data directory.
func storeDir(data string) string      { return filepath.Join(data, "store") }
func pkiDir(data string) string        { return filepath.Join(data, "pki") }
func wasmCacheDir(data string) string  { return filepath.Join(data, "cache", "wasm") }
func strategiesDir(data string) string { return filepath.Join(data, "strategies") }
func keptStrategiesDir(data string) string {
	return filepath.Join(data, "cache", "strategies")
}
func nodesDir(data string) string      { return filepath.Join(data, "nodes") }
func topologyDir(data string) string   { return filepath.Join(data, "topology") }
func containerdDir(data string) string { return filepath.Join(data, "containerd") }
func runDir(data string) string        { return filepath.Join(data, "run") }

// LogFile is where a detached cluster writes its log.
func LogFile(data string) string { return filepath.Join(runDir(data), "pintle.log") }

// KubeconfigFile is where the admin kubeconfig is unless chosen otherwise.
func KubeconfigFile(data string) string { return filepath.Join(data, "kubeconfig") }

// sudoID reads the id of the user who called sudo.
func sudoID(name string) (int, error) { return strconv.Atoi(os.Getenv(name)) }
