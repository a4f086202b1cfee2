package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// ErrNoPodCIDR says that the node has no pod range yet; the caller tries again.
var ErrNoPodCIDR = errors.New("the node has no pod address range yet")

// Pod is what the network needs to know of a pod.
type Pod struct {
	UID, Namespace, Name string
	// HostNetwork pods live in the node's own namespace; nothing is set up.
	HostNetwork bool
	Ports       []HostPort
}

// HostPort forwards a port of the node to a port of the pod.
type HostPort struct {
	HostIP        string `json:"hostIP,omitempty"` // empty: every address of the node
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"` // TCP, UDP or SCTP
}

// Attachment is where a pod lives.
type Attachment struct {
	// NetnsPath is the namespace to start the pod's containers in; empty for the
	// machine's own (a host-network pod of node 0).
	NetnsPath string
	// IPs are the pod's addresses, the primary one first; none for a
	// host-network pod, which has its node's.
	IPs []netip.Addr
}

// Network is the pod network of one node.
type Network struct {
	cfg Config
	cni *cniDriver

	mu struct {
		sync.Mutex
		podCIDR  netip.Prefix
		prepared bool
		pods     map[string]record // by UID: what Setup has finished
	}
}

// New reads what an earlier run left in the data folder; it changes nothing.
func New(cfg Config) (*Network, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg}
	n.mu.podCIDR = cfg.PodCIDR
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

func (n *Network) recordDir() string         { return filepath.Join(n.cfg.DataDir, "pods") }
func (n *Network) ipamDir() string           { return filepath.Join(n.cfg.DataDir, "ipam") }
func (n *Network) netnsPath(u string) string { return filepath.Join(n.cfg.DataDir, "netns", u) }

// HostNetns is the namespace that host-network pods of this node belong in;
// empty for the machine's own.
func (n *Network) HostNetns() string { return n.cfg.HostNetns }

// SetPodCIDR gives the node its range, as soon as its Node object names it. A
// range once used cannot be exchanged while pods hold addresses of it.
func (n *Network) SetPodCIDR(cidr netip.Prefix) error {
	if err := checkPodCIDR(cidr, n.cfg.ClusterCIDR); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.podCIDR == cidr {
		return nil
	}
	if n.mu.podCIDR.IsValid() && len(n.mu.pods) > 0 {
		return fmt.Errorf("pod range %s cannot become %s: %d pods still hold addresses", n.mu.podCIDR, cidr, len(n.mu.pods))
	}
	n.mu.podCIDR = cidr
	n.mu.prepared = false
	return nil
}

// Setup gives the pod a namespace with its addresses. Called again for a pod
// that has them, also after a restart of the process, it answers the same. When
// it fails nothing of the attempt is left.
func (n *Network) Setup(ctx context.Context, pod Pod) (Attachment, error) {
	if pod.HostNetwork {
		return Attachment{NetnsPath: n.cfg.HostNetns}, nil
	}
	if rec, ok := n.lookup(pod.UID); ok && netnsAlive(n.netnsPath(pod.UID)) {
		if err := n.prepare(ctx); err != nil {
			return Attachment{}, err
		}
		return n.attachment(pod.UID, rec), nil
	}
	if err := n.prepare(ctx); err != nil {
		return Attachment{}, err
	}
	if err := n.Teardown(ctx, pod.UID); err != nil {
		return Attachment{}, fmt.Errorf("clear the network of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	rec, err := n.attach(ctx, pod)
	if err != nil {
		err = fmt.Errorf("set up the network of pod %s/%s: %w", pod.Namespace, pod.Name, err)
		return Attachment{}, errors.Join(err, n.Teardown(context.WithoutCancel(ctx), pod.UID))
	}
	return n.attachment(pod.UID, rec), nil
}

func (n *Network) attach(ctx context.Context, pod Pod) (record, error) {
	path := n.netnsPath(pod.UID)
	if err := createNetns(path); err != nil {
		return record{}, err
	}
	rec := record{Namespace: pod.Namespace, Name: pod.Name, Ports: pod.Ports}
	// Written before the addresses are taken: a crash in between is cleared by
	// Sweep or by the next Setup.
	if err := saveRecord(n.recordDir(), pod.UID, rec); err != nil {
		return record{}, err
	}
	ips, err := n.cni.add(ctx, n.conflist(), pod, path)
	if err != nil {
		return record{}, err
	}
	rec.IPs = ips
	if err := saveRecord(n.recordDir(), pod.UID, rec); err != nil {
		return record{}, err
	}
	n.remember(pod.UID, rec)
	if len(rec.Ports) > 0 {
		return rec, n.syncRules(ctx)
	}
	return rec, nil
}

// Teardown takes the pod off the network and frees its addresses; no error when
// there is nothing to take off.
func (n *Network) Teardown(ctx context.Context, uid string) error {
	path := n.netnsPath(uid)
	if !exists(path) && !exists(recordPath(n.recordDir(), uid)) {
		return nil
	}
	rec, known := n.lookup(uid)
	n.forget(uid)
	if known && len(rec.Ports) > 0 {
		if err := n.syncRules(ctx); err != nil {
			return err
		}
	}
	netns := path
	if !netnsAlive(path) {
		netns = ""
	}
	if err := n.cni.del(ctx, n.conflist(), uid, netns); err != nil {
		return fmt.Errorf("release the addresses of pod %s: %w", uid, err)
	}
	if err := deleteNetns(path); err != nil {
		return err
	}
	return removeRecord(n.recordDir(), uid)
}

// Status answers where a pod that was set up lives.
func (n *Network) Status(uid string) (Attachment, bool) {
	rec, ok := n.lookup(uid)
	if !ok || !netnsAlive(n.netnsPath(uid)) {
		return Attachment{}, false
	}
	return n.attachment(uid, rec), true
}

func (n *Network) attachment(uid string, rec record) Attachment {
	return Attachment{NetnsPath: n.netnsPath(uid), IPs: rec.IPs}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lookup answers only finished records: one without addresses is a leftover.
func (n *Network) lookup(uid string) (record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	rec, ok := n.mu.pods[uid]
	return rec, ok && len(rec.IPs) > 0
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
