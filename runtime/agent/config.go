package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/runtime/container"
)

// Network is what the agent needs of pod networking; *network.Network is one.
// Calls for one pod are never concurrent; all are idempotent, so that a crash
// between two steps is repaired by calling again.
type Network interface {
	// Setup makes the named network namespace at netnsPath if it is not there,
	// attaches it to the pod network (and opens the pod's host ports), and
	// returns the pod's addresses, the primary one first. It is not called for
	// pods on the host's network.
	Setup(ctx context.Context, podUID, netnsPath string, pod *corev1.Pod) ([]string, error)
	// Teardown detaches and removes the namespace. pod is nil if the pod is
	// known only from its remains.
	Teardown(ctx context.Context, podUID, netnsPath string, pod *corev1.Pod) error
	// Sweep tears down everything of pods that are not live.
	Sweep(ctx context.Context, live map[string]bool) error
}

// Config is everything an Agent needs. Zero values get the defaults named.
type Config struct {
	NodeName string
	// NodeIPs are the node's addresses, the primary one first.
	NodeIPs []string
	// Labels and Taints are set when the node is registered.
	Labels map[string]string
	Taints []corev1.Taint

	Client  kubernetes.Interface
	Runtime container.Runtime
	Network Network

	// DataDir holds pod volumes, logs and state; each node needs its own.
	DataDir string
	// RunDir holds named network namespaces (default DataDir/run).
	RunDir string
	// CgroupParent is the cgroup below which pods go (default "/pintle/<node>").
	CgroupParent string
	// HostNetNS is the network namespace of the node itself, joined by
	// hostNetwork pods; empty is that of containerd.
	HostNetNS string
	// Dial connects from the node to a pod, for probes, hooks and port-forward
	// (default net.Dialer).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	ClusterDNS    []string
	ClusterDomain string // default "cluster.local"
	MaxPods       int    // default 110
	// KubeletVersion is reported in the node's status.
	KubeletVersion string

	// PodCIDRs, if set, is told the node's pod address ranges when the API server
	// has assigned one.
	PodCIDRs func([]netip.Prefix) error

	// Listener serves the kubelet API; nil serves none.
	Listener net.Listener
	// ServerTLS is the kubelet API's certificate; required with Listener.
	ServerTLS *tls.Certificate
	// GetServerTLS, if set, is asked for the certificate at every handshake.
	GetServerTLS func() (*tls.Certificate, error)
	// ClientCA verifies the clients of the kubelet API.
	ClientCA *x509.CertPool
	// APIServerName is the common name of the API server's client certificate,
	// which may do everything (default "kube-apiserver-kubelet-client").
	APIServerName string

	// CrashBackoff is the first delay of CrashLoopBackOff (default 10 s) and
	// CrashBackoffMax its bound (default 5 min).
	CrashBackoff, CrashBackoffMax time.Duration

	Logger *slog.Logger
}

func (c *Config) defaults() {
	set := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	set(&c.RunDir, c.DataDir+"/run")
	set(&c.CgroupParent, "/pintle/"+c.NodeName)
	set(&c.ClusterDomain, "cluster.local")
	set(&c.KubeletVersion, "v1.37.2")
	set(&c.APIServerName, "kube-apiserver-kubelet-client")
	if c.MaxPods == 0 {
		c.MaxPods = 110
	}
	if c.CrashBackoff == 0 {
		c.CrashBackoff = 10 * time.Second
	}
	if c.CrashBackoffMax == 0 {
		c.CrashBackoffMax = 5 * time.Minute
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate says what is missing.
func (c *Config) Validate() error {
	switch {
	case c.NodeName == "":
		return errors.New("agent: NodeName is empty")
	case c.Client == nil:
		return errors.New("agent: Client is nil")
	case c.Runtime == nil:
		return errors.New("agent: Runtime is nil")
	case c.Network == nil:
		return errors.New("agent: Network is nil")
	case c.DataDir == "" || c.DataDir[0] != '/':
		return fmt.Errorf("agent: DataDir %q is not an absolute path", c.DataDir)
	case c.Listener != nil && c.ServerTLS == nil && c.GetServerTLS == nil:
		return errors.New("agent: Listener without ServerTLS")
	}
	return nil
}
