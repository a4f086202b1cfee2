package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pintle-io/pintle/engine/auth/authn"
	"github.com/pintle-io/pintle/runtime/agent"
)

// AgentConfig is a node of its own process, for a server elsewhere.
type AgentConfig struct {
	DataDir, Server, Token string
	// NodeName defaults to the machine's name; NodeIP to the address from which
	// the server is reached. It may be two addresses, divided by a comma.
	NodeName, NodeIP string
	// Overlay must be as the cluster's other nodes have it.
	Overlay bool
}

// Validate names the flag that is wrong and what it takes.
func (c AgentConfig) Validate() error {
	if os.Geteuid() != 0 {
		return errors.New("running containers needs root (network namespaces, mounts, cgroups): run it with sudo")
	}
	if u, err := url.Parse(c.Server); err != nil || u.Scheme != "https" || u.Port() == "" {
		return fmt.Errorf("--server %q: want https://ADDR:PORT", c.Server)
	}
	if c.NodeIP != "" {
		if err := new(nodeSpec).setIPs(c.NodeIP); err != nil {
			return fmt.Errorf("--node-ip %q: not an IP address, or one of IPv4 and one of IPv6: %w", c.NodeIP, err)
		}
	}
	return nil
}

// RunAgent joins the cluster, once, and runs the node until ctx ends.
func RunAgent(ctx context.Context, cfg AgentConfig, log *slog.Logger) error {
	if cfg.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return err
		}
		cfg.NodeName = name
	}
	lock, err := acquire(cfg.DataDir)
	if err != nil {
		return err
	}
	defer lock.release()
	machine, err := lockMachine(cfg.DataDir)
	if err != nil {
		return err
	}
	defer machine.Close()
	spec, err := agentSpec(ctx, cfg)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(spec.dir(), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(nodeKubeconfig(spec)); errors.Is(err, os.ErrNotExist) {
		if err := join(ctx, cfg, spec); err != nil {
			return err
		}
		log.Info("joined the cluster", "server", cfg.Server, "node", spec.Name)
	}
	client, err := clientcmd.BuildConfigFromFlags("", nodeKubeconfig(spec))
	if err != nil {
		return err
	}
	api, err := remoteAPI(client)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if gateway := topology(cfg.DataDir).Gateway(); spec.IP == gateway {
		names, err := newDNS(api.informers, gateway, log)
		if err != nil {
			return err
		}
		group.Go(func() error { return runDNS(ctx, names, gateway) })
	}
	group.Go(func() error { return runNode(ctx, spec, api, log) })
	return group.Wait()
}

// agentSpec finds the node's address. Beside a server that listens on loopback
// alone it is the first address of the machine's node network, which is made here.
func agentSpec(ctx context.Context, cfg AgentConfig) (nodeSpec, error) {
	spec := nodeSpec{Name: cfg.NodeName, DataDir: cfg.DataDir, Overlay: cfg.Overlay}
	if cfg.NodeIP != "" {
		return spec, spec.setIPs(cfg.NodeIP)
	}
	u, err := url.Parse(cfg.Server)
	if err != nil {
		return spec, err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() || u.Hostname() == "localhost" {
		top := topology(cfg.DataDir)
		if err := top.Up(ctx); err != nil {
			return spec, fmt.Errorf("make the node network: %w", err)
		}
		place, err := top.CreateNode(ctx, cfg.NodeName, 0)
		spec.IP = place.IP
		return spec, err
	}
	// Connecting a datagram socket sends nothing and tells the way.
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", u.Host)
	if err != nil {
		return spec, fmt.Errorf("find the way to %s: %w", cfg.Server, err)
	}
	defer conn.Close()
	spec.IP = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return spec, nil
}

// join turns the token into the node's certificate and writes its kubeconfig.
func join(ctx context.Context, cfg AgentConfig, spec nodeSpec) error {
	token, err := ParseJoinToken(cfg.Token)
	if err != nil {
		return err
	}
	ca, err := token.FetchCA(cfg.Server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pair, err := agent.Bootstrap(ctx, &rest.Config{Host: cfg.Server, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, token.Bearer, spec.Name)
	if err != nil {
		return err
	}
	return writeClientConfig(nodeKubeconfig(spec), cfg.Server, ca, pair.Cert, pair.Key)
}

// NewJoinToken makes a token, good for life, in the cluster that the kubeconfig
// names, and returns the server's address with it.
func NewJoinToken(ctx context.Context, kubeconfig string, life time.Duration) (server string, _ JoinToken, _ error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Clean(kubeconfig))
	if err != nil {
		return "", JoinToken{}, err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return "", JoinToken{}, err
	}
	hash, err := caHash(cfg.CAData)
	if err != nil {
		return "", JoinToken{}, err
	}
	bearer, secret := authn.NewBootstrapToken(time.Now(), life)
	if _, err := client.CoreV1().Secrets(secret.Namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return "", JoinToken{}, fmt.Errorf("create the token: %w", err)
	}
	return cfg.Host, JoinToken{Bearer: bearer, CAHash: hash}, nil
}
