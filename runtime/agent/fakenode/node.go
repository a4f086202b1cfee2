package fakenode

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Leases are renewed in rounds: every leaseRound, the part of the nodes whose
// turn it is, so that each is renewed every leaseRounds*leaseRound.
const (
	leaseRound   = time.Second
	leaseRounds  = 10
	leaseSeconds = 40
)

// Label marks fake nodes.
const Label = "pintle.io/fake-node"

// Fake addresses: nodes from the benchmark range, pods from the shared one.
var (
	nodeRange = netip.MustParseAddr("198.18.0.0")
	podRange  = netip.MustParseAddr("100.64.0.0")
)

var leasesResource = coordinationv1.SchemeGroupVersion.WithResource("leases")

func defaultCapacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
}

// register creates all nodes and leases; those that exist are taken over.
func (f *Fleet) register(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(f.cfg.Workers)
	now := time.Now()
	for i := range f.cfg.Count {
		g.Go(func() error { return f.registerOne(ctx, i, now) })
	}
	return g.Wait()
}

func (f *Fleet) registerOne(ctx context.Context, i int, now time.Time) error {
	name := f.name(i)
	made, err := f.cfg.Writer.Create(ctx, f.newNode(i, now), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register fake node %s: %w", name, err)
	}
	if n, ok := made.(*corev1.Node); ok && err == nil {
		f.mu.Lock()
		f.mu.owners[name] = metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: name, UID: n.UID}
		f.mu.Unlock()
	}
	return f.renewOne(ctx, i)
}

func (f *Fleet) newNode(i int, now time.Time) *corev1.Node {
	name := f.name(i)
	stamp := metav1.NewTime(now)
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: stamp, LastTransitionTime: stamp}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", Label: "true",
			corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%f.cfg.Zones), corev1.LabelTopologyRegion: "fake",
		}},
		Spec: corev1.NodeSpec{Taints: f.cfg.Taints},
		Status: corev1.NodeStatus{
			Capacity: f.cfg.Capacity, Allocatable: f.cfg.Capacity,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: f.hostIP(name)}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo:  corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "fake://1", OSImage: "none"},
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
				condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "fake node is posting ready status"),
			},
		},
	}
}

// renew renews every lease once per ten seconds, a tenth of them each second.
func (f *Fleet) renew(ctx context.Context) {
	tick := time.NewTicker(leaseRound)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var g errgroup.Group
		g.SetLimit(f.cfg.Workers)
		for i := round % leaseRounds; i < f.cfg.Count; i += leaseRounds {
			g.Go(func() error { return f.renewOne(ctx, i) })
		}
		if err := g.Wait(); err != nil && ctx.Err() == nil {
			f.cfg.Logger.Info("leases of fake nodes were not renewed, will retry", "err", err)
		}
	}
}

func (f *Fleet) renewOne(ctx context.Context, i int) error {
	name := f.name(i)
	now := metav1.NowMicro()
	_, err := f.cfg.Writer.UpdateFunc(ctx, leasesResource, corev1.NamespaceNodeLease, name, "", func(o runtime.Object) error {
		o.(*coordinationv1.Lease).Spec.RenewTime = &now
		return nil
	})
	if !apierrors.IsNotFound(err) {
		return err
	}
	seconds := int32(leaseSeconds)
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	f.mu.Lock()
	if owner, ok := f.mu.owners[name]; ok {
		l.OwnerReferences = []metav1.OwnerReference{owner}
	}
	f.mu.Unlock()
	_, err = f.cfg.Writer.Create(ctx, l, metav1.CreateOptions{})
	return err
}

func (f *Fleet) hostIP(node string) string { return addrAt(nodeRange, uint32(f.names[node]+1)) }

func (f *Fleet) nextIP() string { return addrAt(podRange, f.lastIP.Add(1)) }

func addrAt(base netip.Addr, n uint32) string {
	b := base.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

// highestIP finds the last fake pod address in use, so that none is given twice
// after a restart.
func highestIP(pods []any) uint32 {
	b := podRange.As4()
	base := uint32(b[0])<<24 | uint32(b[1])<<16
	top := uint32(0)
	for _, o := range pods {
		a, err := netip.ParseAddr(o.(*corev1.Pod).Status.PodIP)
		if err != nil || !a.Is4() {
			continue
		}
		x := a.As4()
		v := uint32(x[0])<<24 | uint32(x[1])<<16 | uint32(x[2])<<8 | uint32(x[3])
		if v > base && v < base+1<<22 {
			top = max(top, v-base)
		}
	}
	return top
}
