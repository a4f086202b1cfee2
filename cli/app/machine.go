package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/pintle-io/pintle/engine/auth/node"
	"github.com/pintle-io/pintle/runtime/network"
)

const nodeCertificateLife = 365 * 24 * time.Hour

// nodeName is the name of the node with this index, counted from 1 for people.
func nodeName(index int) string { return "node-" + strconv.Itoa(index+1) }

func topology(data string) *network.Topology { return topologyOf(data, false) }

// topologyOf is topology with IPv6 addresses too, if dual.
func topologyOf(data string, dual bool) *network.Topology {
	return network.NewTopology(network.TopologyConfig{
		DataDir: topologyDir(data), DualStack: dual, ClusterCIDR: netip.MustParsePrefix(PodCIDR), ServiceCIDR: netip.MustParsePrefix(ServiceCIDR),
	})
}

// machineLock is held while nodes of ours run on the machine: their bridges and
// rules carry fixed names.
const machineLock = "/run/pintle.lock"

// lockMachine refuses a second cluster with nodes on one machine. The name of the
// first's data directory stays in the file, so that it can be told.
func lockMachine(data string) (io.Closer, error) {
	f, err := os.OpenFile(machineLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the machine's node network: %w", err)
	}
	owner, _ := io.ReadAll(io.LimitReader(f, 4096))
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	other := strings.TrimSpace(string(owner))
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && other != "" && other != data && nodesLeft(other) {
		f.Close()
		return nil, fmt.Errorf("the cluster on %s has its nodes on this machine already; stop it with `pintle down --data %s`, or run this one without containers (--nodes 0)", other, other)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(data+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", machineLock, err)
	}
	return f, nil
}

// forgetMachine says that a cluster has no nodes on the machine any more.
func forgetMachine(data string) error {
	owner, err := os.ReadFile(machineLock)
	if err != nil || strings.TrimSpace(string(owner)) != data {
		return nil
	}
	return os.Truncate(machineLock, 0)
}

// nodesLeft says whether a cluster's nodes have not been taken down.
func nodesLeft(data string) bool {
	entries, err := os.ReadDir(nodesDir(data))
	return err == nil && len(entries) > 0
}

// runNodes runs the cluster's nodes on this machine until ctx ends: the first in
// this process, each other in a process of its own inside its network namespace.
func (c *controlPlane) runNodes(ctx context.Context) error {
	top := topologyOf(c.cfg.DataDir, c.cfg.DualStack)
	if err := top.Up(ctx); err != nil {
		return fmt.Errorf("make the node network: %w", err)
	}
	// Started here, not by whichever node comes first: containerd belongs in the
	// machine's own network namespace, where the registries can be reached.
	if _, err := launcher(c.cfg.DataDir, c.log).Start(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range c.cfg.Nodes {
		place, err := top.CreateNode(ctx, nodeName(i), i)
		if err != nil {
			return fmt.Errorf("make the place of %s: %w", nodeName(i), err)
		}
		spec := nodeSpec{Name: place.Name, IP: place.IP, IP6: place.IP6, Netns: place.NetnsPath, DataDir: c.cfg.DataDir, Overlay: c.cfg.Overlay}
		if i > 0 {
			group.Go(func() error { return c.superviseNode(ctx, spec) })
			continue
		}
		as := c.client.As(&user.DefaultInfo{Name: node.UserPrefix + spec.Name, Groups: []string{user.NodesGroup, user.AllAuthenticated}})
		api := nodeAPI{client: as.Clientset(), informers: c.client.Informers(), ca: c.pki.Pool()}
		group.Go(func() error { return runNode(ctx, spec, api, c.log) })
	}
	return group.Wait()
}

// superviseNode keeps a process for one node running inside its namespace. The
// process ends when its standard input does, and so never outlives this one.
func (c *controlPlane) superviseNode(ctx context.Context, s nodeSpec) error {
	const pause = 2 * time.Second
	if err := c.writeNodeKubeconfig(s); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if !awaitSwitch(ctx, s, true) {
			return nil
		}
		cmd := exec.Command(self, "run-node", "--data", s.DataDir, "--name", s.Name, "--ip", strings.Join(s.ips(), ","), "--netns", s.Netns,
			"--overlay="+strconv.FormatBool(s.Overlay))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := network.StartIn(s.Netns, cmd); err != nil {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
		alive, ended := context.WithCancel(ctx)
		go func() {
			// The process ends with its node, and with this one.
			awaitSwitch(alive, s, false)
			_ = stdin.Close()
		}()
		err = cmd.Wait()
		ended()
		if ctx.Err() == nil && switchedOn(s) {
			c.log.Error("a node's process ended and is started again", "node", s.Name, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
	return nil
}

func nodeKubeconfig(s nodeSpec) string { return filepath.Join(s.dir(), "kubeconfig") }

func (c *controlPlane) writeNodeKubeconfig(s nodeSpec) error {
	cert, key, err := c.pki.ClientCertificate(node.UserPrefix+s.Name, []string{user.NodesGroup}, nodeCertificateLife)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		return err
	}
	return writeClientConfig(nodeKubeconfig(s), "https://"+c.endpoint.String(), c.pki.CA(), cert, key)
}

// writeClientConfig writes a kubeconfig of one user, mode 0600.
func writeClientConfig(file, server string, ca, cert, key []byte) error {
	const name = "pintle"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: cert, ClientKeyData: key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, file)
}

// listenForPods opens the API on the address where pods and other nodes reach this
// machine, which need not exist yet, beside the listener that the user chose.
func listenForPods(ctx context.Context, chosen net.Listener, gateway netip.Addr) (net.Listener, netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(chosen.Addr().String())
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	if addr.Addr().IsUnspecified() {
		return chosen, netip.AddrPortFrom(gateway, addr.Port()), nil
	}
	if !addr.Addr().IsLoopback() {
		return chosen, addr, nil
	}
	endpoint := netip.AddrPortFrom(gateway, addr.Port())
	inner, err := network.ListenFree(ctx, endpoint.String())
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("listen for pods on %s: %w", endpoint, err)
	}
	return network.MergeListeners(chosen, inner), endpoint, nil
}
