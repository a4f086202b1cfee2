package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/engine/apis/networking"
	ingresscontroller "github.com/pintle-io/pintle/engine/controllers/ingress"
	"github.com/pintle-io/pintle/runtime/agent"
	"github.com/pintle-io/pintle/runtime/containerd"
	"github.com/pintle-io/pintle/runtime/ingress"
	"github.com/pintle-io/pintle/runtime/launch"
	"github.com/pintle-io/pintle/runtime/network"
	"github.com/pintle-io/pintle/runtime/policy"
	"github.com/pintle-io/pintle/runtime/proxy"
)

const (
	kubeletPort = 10250
	// cgroupParent holds the cgroups of all nodes of this machine.
	cgroupParent = "/pintle"
)

// nodeSpec is one node of this machine.
type nodeSpec struct {
	Name string
	IP   netip.Addr
	// IP6 is valid on a cluster of two families.
	IP6 netip.Addr
	// Overlay is Config.Overlay.
	Overlay bool
	// Netns is the path of the node's network namespace; empty for the machine's.
	Netns string
	// DataDir is the cluster's (or the agent's) directory on this machine.
	DataDir string
}

func (s nodeSpec) dir() string { return filepath.Join(nodesDir(s.DataDir), s.Name) }

// ips are the node's addresses, the primary one first.
func (s nodeSpec) ips() []string {
	if s.dual() {
		return []string{s.IP.String(), s.IP6.String()}
	}
	return []string{s.IP.String()}
}

func (s nodeSpec) dual() bool { return s.IP6.IsValid() }

// setIPs reads ips, divided by commas.
func (s *nodeSpec) setIPs(text string) error {
	first, second, two := strings.Cut(text, ",")
	var err error
	if s.IP, err = netip.ParseAddr(first); err != nil {
		return err
	}
	if two {
		if s.IP6, err = netip.ParseAddr(second); err != nil {
			return err
		}
		if !s.IP.Is4() || !s.IP6.Is6() {
			return fmt.Errorf("%q: want an IPv4 address and then an IPv6 address", text)
		}
	}
	return nil
}

func (s nodeSpec) networkConfig(log *slog.Logger) network.Config {
	return network.Config{
		DataDir: filepath.Join(s.dir(), "network"), ClusterCIDR: netip.MustParsePrefix(PodCIDR), Overlay: s.Overlay, Logger: log,
	}
}

// nodeAPI is how a node reaches the cluster.
type nodeAPI struct {
	client kubernetes.Interface
	// informers serve the node's network.
	informers informers.SharedInformerFactory
	// ca signs the API server's client certificate.
	ca *x509.CertPool
}

func launcher(data string, log *slog.Logger) *launch.Launcher {
	return launch.New(launch.Config{DataDir: containerdDir(data), Logger: log})
}

// containerNamespace is where a node keeps its containers and images in the
// machine's containerd.
func containerNamespace(node string) string { return "pintle-" + node }

// openRuntime connects to the machine's containerd, starting it if needed.
func openRuntime(ctx context.Context, s nodeSpec, log *slog.Logger) (*containerd.Runtime, error) {
	c, err := launcher(s.DataDir, log).Start(ctx)
	if err != nil {
		return nil, err
	}
	return containerd.New(ctx, containerd.Config{
		Address: c.Socket, Namespace: containerNamespace(s.Name), Snapshotter: c.Snapshotter,
		StateDir: filepath.Join(s.dir(), "runtime"), Logger: log,
	})
}

func newAgent(s nodeSpec, api nodeAPI, runtime *containerd.Runtime, pods *network.Network, log *slog.Logger, more func(*agent.Config)) (*agent.Agent, error) {
	cfg := agent.Config{
		NodeName: s.Name, NodeIPs: s.ips(),
		Client: api.client, Runtime: runtime, Network: pods,
		DataDir: filepath.Join(s.dir(), "agent"), HostNetNS: s.Netns, CgroupParent: cgroupParent + "/" + s.Name,
		ClusterDNS: []string{ClusterDNSIP}, ClusterDomain: ClusterDomain,
		PodCIDRs: pods.SetPodCIDRs, ClientCA: api.ca, Logger: log,
	}
	more(&cfg)
	return agent.New(cfg)
}

// runNode runs one node in the network namespace of this process until ctx ends;
// its containers run on.
func runNode(ctx context.Context, s nodeSpec, api nodeAPI, log *slog.Logger) error {
	log = log.With("node", s.Name)
	runtime, err := openRuntime(ctx, s, log)
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	defer runtime.Close()
	pods, err := network.New(s.networkConfig(log))
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	listener, err := network.ListenFree(ctx, net.JoinHostPort(s.IP.String(), strconv.Itoa(kubeletPort)))
	if err != nil {
		return fmt.Errorf("node %s: listen for the API server: %w", s.Name, err)
	}
	cert := &servingCertificate{node: s.Name, ip: s.IP, client: api.client}
	a, err := newAgent(s, api, runtime, pods, log, func(c *agent.Config) {
		c.Listener, c.GetServerTLS = listener, cert.get
	})
	if err != nil {
		return err
	}
	services, err := proxy.New(proxy.Config{
		NodeName: s.Name, ClusterCIDRs: podCIDRs(s.dual()),
		Services: api.informers.Core().V1().Services(), EndpointSlices: api.informers.Discovery().V1().EndpointSlices(),
		Nodes: api.informers.Core().V1().Nodes(), Logger: log,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	policies, err := policy.New(s.Name, api.informers, s.dual(), log)
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	routes, err := network.NewRouteController(s.Name, api.informers.Core().V1().Nodes(), s.Overlay, log)
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	sites, err := ingress.New(ingress.Config{
		NodeName: s.Name, Address: s.IP, Controller: networking.IngressController, Annotation: ingresscontroller.NodeAnnotation,
		Client: api.client, Informers: api.informers, Logger: log,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", s.Name, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	api.informers.StartWithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error { return services.Run(ctx) })
	group.Go(func() error { return policies.Run(ctx) })
	group.Go(func() error { return routes.Run(ctx) })
	group.Go(func() error { return sites.Run(ctx) })
	group.Go(func() error { return cert.run(ctx, log) })
	return group.Wait()
}

// servingCertificate is the certificate of a node's kubelet API, asked of the API
// server when the node is registered and again before it expires.
type servingCertificate struct {
	node    string
	ip      netip.Addr
	client  kubernetes.Interface
	current atomic.Pointer[tls.Certificate]
}

func (c *servingCertificate) get() (*tls.Certificate, error) {
	if cert := c.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("the node has no serving certificate yet")
}

func (c *servingCertificate) run(ctx context.Context, log *slog.Logger) error {
	const retry = 5 * time.Second
	for {
		next := retry
		pair, err := agent.ServingCertificate(ctx, c.client, c.node, []net.IP{c.ip.AsSlice()})
		if err == nil {
			var cert *tls.Certificate
			if cert, err = pair.TLS(); err == nil {
				c.current.Store(cert)
				next = renewAfter(cert, time.Now())
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("no serving certificate yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(next):
		}
	}
}

// renewAfter is four fifths of what is left of a certificate's life.
func renewAfter(cert *tls.Certificate, now time.Time) time.Duration {
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return time.Hour
	}
	return max(time.Minute, leaf.NotAfter.Sub(now)*4/5)
}
