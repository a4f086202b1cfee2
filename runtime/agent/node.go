package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/utils/clock"

	coordinationv1 "k8s.io/api/coordination/v1"
)

const (
	leaseSeconds = 40
	leaseEvery   = 10 * time.Second
	// nodeCheck is how often the machine is looked at, nodeReport how often the
	// status is written without a change.
	nodeCheck  = 10 * time.Second
	nodeReport = 5 * time.Minute
	retryNode  = time.Second
)

// runNode registers the node and keeps its lease and its status.
func (a *Agent) runNode(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.register(ctx)
		if err == nil {
			break
		}
		a.log.Info("the node could not be registered, will retry", "err", err)
		pause(ctx, retryNode)
	}
	leases := lease.NewController(clock.RealClock{}, a.cfg.Client, a.cfg.NodeName, leaseSeconds, nil, leaseEvery,
		a.cfg.NodeName, corev1.NamespaceNodeLease, a.ownLease)
	done := make(chan struct{})
	go func() { defer close(done); leases.Run(ctx) }()
	a.reportNode(ctx)
	<-done
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// ownLease makes the lease go with the node.
func (a *Agent) ownLease(l *coordinationv1.Lease) error {
	if len(l.OwnerReferences) > 0 {
		return nil
	}
	node := a.node()
	if node == nil {
		return errors.New("the node is not registered yet")
	}
	l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
	return nil
}

// node as the API has it; nil if it has none.
func (a *Agent) node() *corev1.Node {
	o, ok, err := a.nodeStore.GetByKey(a.cfg.NodeName)
	if err != nil || !ok {
		return nil
	}
	return o.(*corev1.Node)
}

func (a *Agent) nodeHandler() cache.ResourceEventHandler {
	assign := func(obj any) {
		n := obj.(*corev1.Node)
		if a.cfg.PodCIDRs == nil || len(n.Spec.PodCIDRs) == 0 {
			return
		}
		cidrs, err := parsePrefixes(n.Spec.PodCIDRs)
		if err == nil {
			err = a.cfg.PodCIDRs(cidrs)
		}
		if err != nil {
			a.log.Error("use the node's pod address ranges", "podCIDRs", n.Spec.PodCIDRs, "err", err)
			return
		}
		a.wakeAll()
		select {
		case a.nodeChanged <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: assign, UpdateFunc: func(old, o any) {
		if !slices.Equal(old.(*corev1.Node).Spec.PodCIDRs, o.(*corev1.Node).Spec.PodCIDRs) {
			assign(o)
		}
	}}
}

func parsePrefixes(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// register creates the node, or gives an existing one its labels.
func (a *Agent) register(ctx context.Context) error {
	nodes := a.cfg.Client.CoreV1().Nodes()
	want := a.newNode()
	_, err := nodes.Create(ctx, want, metav1.CreateOptions{})
	if err == nil {
		a.log.Info("node registered")
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": want.Labels, "annotations": want.Annotations}})
	if err != nil {
		return err
	}
	_, err = nodes.Patch(ctx, a.cfg.NodeName, types.StrategicMergePatchType, body, metav1.PatchOptions{})
	return err
}

func (a *Agent) newNode() *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: a.cfg.NodeName, Labels: nodeLabels(a.cfg.NodeName)}}
	for k, v := range a.cfg.Labels {
		n.Labels[k] = v
	}
	n.Annotations = map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true", localRoot: a.localDir()}
	n.Spec.Taints = a.cfg.Taints
	n.Status = a.nodeStatus(context.Background(), corev1.NodeStatus{}, time.Now())
	return n
}

// reportNode writes the node's status when it changes, and from time to time.
func (a *Agent) reportNode(ctx context.Context) {
	tick := time.NewTicker(nodeCheck)
	defer tick.Stop()
	var last time.Time
	for {
		now := time.Now()
		if wrote, err := a.writeNode(ctx, now, now.Sub(last) >= nodeReport); err != nil && ctx.Err() == nil {
			a.log.Info("node status not written, will retry", "err", err)
		} else if wrote {
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.nodeChanged:
		}
	}
}

func (a *Agent) writeNode(ctx context.Context, now time.Time, force bool) (bool, error) {
	node := a.node()
	if node == nil {
		// Deleted, or not seen yet: registering again does no harm.
		return false, a.register(ctx)
	}
	status := a.nodeStatus(ctx, node.Status, now)
	if !force && sameNode(node.Status, status) {
		return false, nil
	}
	old, err1 := json.Marshal(corev1.Node{Status: node.Status})
	next, err2 := json.Marshal(corev1.Node{Status: status})
	body, err3 := strategicpatch.CreateTwoWayMergePatch(old, next, corev1.Node{})
	if err := errors.Join(err1, err2, err3); err != nil {
		return false, err
	}
	_, err := a.cfg.Client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err == nil, err
}

// sameNode leaves out heartbeats.
func sameNode(x, y corev1.NodeStatus) bool {
	x, y = *x.DeepCopy(), *y.DeepCopy()
	for _, s := range []*corev1.NodeStatus{&x, &y} {
		for i := range s.Conditions {
			s.Conditions[i].LastHeartbeatTime = metav1.Time{}
		}
	}
	return equality.Semantic.DeepEqual(x, y)
}

func (a *Agent) nodeStatus(ctx context.Context, old corev1.NodeStatus, now time.Time) corev1.NodeStatus {
	s := *old.DeepCopy()
	s.Capacity = a.capacity()
	s.Allocatable = a.capacity()
	s.Addresses = nil
	for _, ip := range a.cfg.NodeIPs {
		s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: a.cfg.NodeName})
	s.NodeInfo = machineInfo(a.runtimeVersion, a.cfg.KubeletVersion)
	if a.cfg.Listener != nil {
		if t, ok := a.cfg.Listener.Addr().(*net.TCPAddr); ok {
			s.DaemonEndpoints.KubeletEndpoint.Port = int32(t.Port)
		}
	}
	s.Images = a.nodeImages(ctx, old.Images, now)
	s.Conditions = nodeConditions(s.Conditions, a.nodeProblem(ctx), measurePressure(a.cfg.DataDir), now)
	return s
}

// nodeProblem is why the node cannot run pods; empty if it can.
func (a *Agent) nodeProblem(ctx context.Context) string {
	if _, err := a.cfg.Runtime.Version(ctx); err != nil {
		return "container runtime is down: " + err.Error()
	}
	if a.cfg.PodCIDRs != nil && a.nodeStore != nil {
		if n := a.node(); n == nil || n.Spec.PodCIDR == "" {
			return "container runtime network not ready: the node has no pod address range yet"
		}
	}
	return ""
}

// maxNodeImages bounds the list in the node's status; it is made anew every
// imagesEvery, because that reads every image's configuration.
const (
	maxNodeImages = 50
	imagesEvery   = time.Minute
)

// nodeImages lists the largest images. Called by the goroutine that reports the
// node.
func (a *Agent) nodeImages(ctx context.Context, old []corev1.ContainerImage, now time.Time) []corev1.ContainerImage {
	if now.Sub(a.imagesAt) < imagesEvery {
		return old
	}
	list, err := a.cfg.Runtime.Images(ctx)
	if err != nil {
		return old
	}
	a.imagesAt = now
	var out []corev1.ContainerImage
	for _, i := range list {
		out = append(out, corev1.ContainerImage{Names: i.Names, SizeBytes: i.Size})
	}
	return sortImages(out)[:min(len(out), maxNodeImages)]
}

// nodeConditions updates those of the agent.
func nodeConditions(have []corev1.NodeCondition, problem string, p pressure, now time.Time) []corev1.NodeCondition {
	set := func(t corev1.NodeConditionType, status bool, reason, message string) {
		c := corev1.NodeCondition{
			Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message,
			LastHeartbeatTime: metav1.NewTime(now).Rfc3339Copy(), LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
		}
		if status {
			c.Status = corev1.ConditionTrue
		}
		for i := range have {
			if have[i].Type == t {
				if have[i].Status == c.Status {
					c.LastTransitionTime = have[i].LastTransitionTime
				}
				have[i] = c
				return
			}
		}
		have = append(have, c)
	}
	set(corev1.NodeMemoryPressure, p.memory, pick(p.memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"), pick(p.memory, "kubelet has insufficient memory available", "kubelet has sufficient memory available"))
	set(corev1.NodeDiskPressure, p.disk, pick(p.disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure"), pick(p.disk, "kubelet has disk pressure", "kubelet has no disk pressure"))
	set(corev1.NodePIDPressure, p.pids, pick(p.pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID"), pick(p.pids, "kubelet has insufficient PID available", "kubelet has sufficient PID available"))
	if problem == "" {
		set(corev1.NodeReady, true, "KubeletReady", "kubelet is posting ready status")
	} else {
		set(corev1.NodeReady, false, "KubeletNotReady", problem)
	}
	return have
}

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
