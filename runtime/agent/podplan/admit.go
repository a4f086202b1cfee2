package podplan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// Rejection is why a node refuses a pod that was bound to it.
type Rejection struct{ Reason, Message string }

// Admit checks that a new pod may run beside the others on the node, whoever bound
// it there: its operating system, what it requests, its ports, the labels it wants and
// the taints that would evict it. nil admits. Reasons and messages are the kubelet's.
func Admit(node *corev1.Node, others []*corev1.Pod, pod *corev1.Pod) *Rejection {
	if pod.Spec.OS != nil && pod.Spec.OS.Name != corev1.Linux {
		return &Rejection{"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"}
	}
	if r := fits(node, others, pod); r != nil {
		return r
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); !ok || err != nil {
		return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
	}
	for _, other := range others {
		if portsClash(other, pod) {
			return predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
		}
	}
	evicts := func(t *corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }
	if _, evicted := schedulinghelpers.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, evicts, true); evicted {
		return predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
	}
	return nil
}

func predicate(name, what string) *Rejection {
	return &Rejection{name, fmt.Sprintf("Predicate %s failed: %s", name, what)}
}

// fits checks requests against what the node can give. Extended resources that the
// node does not know are somebody else's.
func fits(node *corev1.Node, others []*corev1.Pod, pod *corev1.Pod) *Rejection {
	can := node.Status.Allocatable
	options := resource.PodResourcesOptions{UseStatusResources: true}
	if pods, ok := can[corev1.ResourcePods]; ok && int64(len(others))+1 > pods.Value() {
		return outOf(corev1.ResourcePods, 1, int64(len(others)), pods.Value())
	}
	requests := resource.PodRequests(pod, options)
	names := make([]corev1.ResourceName, 0, len(requests))
	for name := range requests {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		asked := amount(requests, name)
		if _, known := can[name]; asked == 0 || !known {
			continue
		}
		var used int64
		for _, other := range others {
			used += amount(resource.PodRequests(other, options), name)
		}
		if capacity := amount(can, name); asked > capacity-used {
			return outOf(name, asked, used, capacity)
		}
	}
	return nil
}

// amount is in thousandths for processors, in units for all else.
func amount(list corev1.ResourceList, name corev1.ResourceName) int64 {
	q := list[name]
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

func outOf(name corev1.ResourceName, asked, used, capacity int64) *Rejection {
	return &Rejection{"OutOf" + string(name),
		fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, asked, used, capacity)}
}

// portsClash reports that both pods want the same port of the machine.
func portsClash(a, b *corev1.Pod) bool {
	for _, x := range hostPorts(a) {
		for _, y := range hostPorts(b) {
			anywhere := unspecified(x.HostIP) || unspecified(y.HostIP)
			if x.HostPort == y.HostPort && protocol(x) == protocol(y) && (anywhere || x.HostIP == y.HostIP) {
				return true
			}
		}
	}
	return false
}

func hostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				ports = append(ports, p)
			}
		}
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		if sidecar(&pod.Spec.InitContainers[i]) {
			add(&pod.Spec.InitContainers[i])
		}
	}
	return ports
}

func unspecified(ip string) bool { return strings.Trim(ip, "0.:") == "" }

func protocol(p corev1.ContainerPort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}

// Rejected is the status of a pod that the node refuses.
func Rejected(pod *corev1.Pod, r *Rejection) corev1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.Phase, status.Reason, status.Message = corev1.PodFailed, r.Reason, "Pod was rejected: "+r.Message
	status.ObservedGeneration = pod.Generation
	return status
}
