package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// ErrNoPodCIDR says that the node has no pod range yet; the caller tries again.
var ErrNoPodCIDR = errors.New("the node has no pod address range yet")

// HostPort forwards a port of the node to a port of the pod.
type HostPort struct {
	HostIP        string `json:"hostIP,omitempty"` // empty: every address of the node
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"` // TCP, UDP or SCTP
}

// hostPorts are the host ports that the pod's containers ask for.
func hostPorts(pod *corev1.Pod) []HostPort {
	var out []HostPort
	add := func(c corev1.Container) {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				out = append(out, HostPort{HostIP: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: string(p.Protocol)})
			}
		}
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	for _, c := range pod.Spec.Containers {
		add(c)
	}
	return out
}

// Network is the pod network of one node.
type Network struct {
	cfg Config
	cni *cniDriver

	mu struct {
		sync.Mutex
		podCIDRs []netip.Prefix // of IPv4, then of IPv6; empty until they are known
		prepared bool
		pods     map[string]record // by UID; without addresses: left unfinished
	}
}

// New reads what an earlier run left in the data folder; it changes nothing.
func New(cfg Config) (*Network, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg}
	n.mu.podCIDRs = cfg.PodCIDRs
	records, err := loadRecords(n.recordDir())
	if err != nil {
		return nil, err
	}
	n.mu.pods = records
	n.cni = &cniDriver{
		pluginDirs: cfg.PluginDirs,
		cacheDir:   filepath.Join(cfg.DataDir, "cni"),
		confDir:    cfg.ConfDir,
	}
	return n, nil
}

func (n *Network) recordDir() string { return filepath.Join(n.cfg.DataDir, "pods") }
func (n *Network) ipamDir() string   { return filepath.Join(n.cfg.DataDir, "ipam") }

// SetPodCIDRs gives the node its ranges, as soon as its Node object names them.
// Ranges once used cannot be exchanged while pods hold addresses of them.
func (n *Network) SetPodCIDRs(cidrs []netip.Prefix) error {
	if err := n.cfg.checkPodCIDRs(cidrs); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Equal(n.mu.podCIDRs, cidrs) {
		return nil
	}
	if len(n.mu.podCIDRs) > 0 && len(n.mu.pods) > 0 {
		return fmt.Errorf("pod ranges %v cannot become %v: %d pods still hold addresses", n.mu.podCIDRs, cidrs, len(n.mu.pods))
	}
	n.mu.podCIDRs = cidrs
	n.mu.prepared = false
	return nil
}

// Setup makes the pod's namespace at netnsPath, joins it to the network, opens
// its host ports and answers its addresses, the primary one first. Called again
// for a pod that has them, also after a restart of the process, it answers the
// same. When it fails nothing of the attempt is left.
func (n *Network) Setup(ctx context.Context, uid, netnsPath string, pod *corev1.Pod) ([]string, error) {
	if err := n.prepare(ctx); err != nil {
		return nil, err
	}
	if ips, ok := n.Status(uid); ok {
		return ips, nil
	}
	if err := n.Teardown(ctx, uid, netnsPath, pod); err != nil {
		return nil, fmt.Errorf("clear the network of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	rec := record{Namespace: pod.Namespace, Name: pod.Name, NetnsPath: netnsPath, Ports: hostPorts(pod)}
	rec, err := n.attach(ctx, uid, rec)
	if err != nil {
		err = fmt.Errorf("set up the network of pod %s/%s: %w", pod.Namespace, pod.Name, err)
		return nil, errors.Join(err, n.Teardown(context.WithoutCancel(ctx), uid, netnsPath, pod))
	}
	return addrStrings(rec.IPs), nil
}

// attach writes the record before it takes anything: a crash in between is
// cleared by Sweep or by the next Setup.
func (n *Network) attach(ctx context.Context, uid string, rec record) (record, error) {
	if err := saveRecord(n.recordDir(), uid, rec); err != nil {
		return rec, err
	}
	if err := createNetns(rec.NetnsPath); err != nil {
		return rec, err
	}
	ips, err := n.cni.add(ctx, n.conflist(), uid, rec)
	if err != nil {
		return rec, err
	}
	rec.IPs = ips
	if err := saveRecord(n.recordDir(), uid, rec); err != nil {
		return rec, err
	}
	n.remember(uid, rec)
	if len(rec.Ports) > 0 {
		return rec, n.syncRules(ctx)
	}
	return rec, nil
}

// Teardown takes the pod off the network, frees its addresses and removes its
// namespace; no error when there is nothing left to do. An empty netnsPath means
// the one it was set up with; the pod itself need not be known.
func (n *Network) Teardown(ctx context.Context, uid, netnsPath string, _ *corev1.Pod) error {
	rec, known := n.lookup(uid)
	if netnsPath == "" {
		netnsPath = rec.NetnsPath
	}
	if !exists(netnsPath) && !exists(recordPath(n.recordDir(), uid)) {
		return nil
	}
	n.forget(uid)
	if known && len(rec.Ports) > 0 {
		if err := n.syncRules(ctx); err != nil {
			return err
		}
	}
	rec.NetnsPath = netnsPath
	if !NetnsAlive(netnsPath) {
		rec.NetnsPath = ""
	}
	if err := n.cni.del(ctx, n.conflist(), uid, rec); err != nil {
		return fmt.Errorf("release the addresses of pod %s: %w", uid, err)
	}
	if err := deleteNetns(netnsPath); err != nil {
		return err
	}
	return removeRecord(n.recordDir(), uid)
}

// Status answers the addresses of a pod that is on the network.
func (n *Network) Status(uid string) ([]string, bool) {
	rec, ok := n.lookup(uid)
	if !ok || len(rec.IPs) == 0 || !NetnsAlive(rec.NetnsPath) {
		return nil, false
	}
	return addrStrings(rec.IPs), true
}

func addrStrings(ips []netip.Addr) []string {
	out := make([]string, len(ips))
	for i, ip := range ips {
		out[i] = ip.String()
	}
	return out
}

func exists(path string) bool {
	if path == "" {
		return false
	}
	_, err := os.Lstat(path)
	return err == nil
}

func (n *Network) lookup(uid string) (record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	rec, ok := n.mu.pods[uid]
	return rec, ok
}

func (n *Network) remember(uid string, rec record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.pods[uid] = rec
}

func (n *Network) forget(uid string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.pods, uid)
}
