package scheduling

import (
	"encoding/binary"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/pintle-io/pintle/wasm/abi"
)

// Requests that a container without any counts with when nodes are scored.
const (
	defaultMilliCPU = 100
	defaultMemory   = 200 << 20
)

// class is all that scheduling knows about a pod; pods of equal signature share
// one. What depends on the cluster's dictionaries is compiled lazily (see
// cluster.compile).
type class struct {
	signature string
	sample    *corev1.Pod
	users     int // pods, pending or on a node

	requests         []amount
	scoreCPU, scoreM int64
	affinity         nodeaffinity.RequiredNodeAffinity
	constrained      bool // has a node selector or required node affinity
	ports            []hostPort
	needs            []need          // spread, pod affinity and anti-affinity
	owns             []add           // terms of its own that other pods must heed
	spreads          labels.Selector // of pods to be spread from though the pod does not ask for it
	leaving          bool            // being deleted
	claims           bool            // uses persistent volume claims

	nodes    *mask // of nodes that the node selector and affinity admit; nil for all
	prefers  []preference
	compiled compiled
}

type amount struct {
	slot  int
	value int64
}

type hostPort struct {
	ip, protocol string
	port         int32
}

// conflicts reports whether two pods cannot both have these ports on one node.
func (p hostPort) conflicts(o hostPort) bool {
	return p.port == o.port && p.protocol == o.protocol && (p.ip == o.ip || p.ip == "0.0.0.0" || o.ip == "0.0.0.0")
}

// add is what one pod of a class adds to a term's count on its node.
type add struct {
	term   *term
	amount int32
}

// signature is equal for pods that scheduling cannot tell apart.
func signature(pod *corev1.Pod) string {
	b := make([]byte, 0, 512)
	str := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	stringMap := func(m map[string]string) {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			str(k)
			str(m[k])
		}
	}
	message := func(m interface{ Marshal() ([]byte, error) }) {
		raw, err := m.Marshal()
		if err != nil {
			panic(err) // generated code on a decoded object
		}
		str(string(raw))
	}
	spec := &pod.Spec
	str(pod.Namespace)
	if pod.DeletionTimestamp != nil {
		str("leaving")
	}
	stringMap(pod.Labels)
	stringMap(spec.NodeSelector)
	b = binary.AppendVarint(b, int64(priorityOf(pod)))
	if spec.Affinity != nil {
		message(spec.Affinity)
	}
	b = append(b, 0xff)
	for i := range spec.Tolerations {
		message(&spec.Tolerations[i])
	}
	b = append(b, 0xff)
	for i := range spec.TopologySpreadConstraints {
		message(&spec.TopologySpreadConstraints[i])
	}
	b = append(b, 0xff)
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			c := &containers[i]
			str(c.Image)
			message(&c.Resources)
			if c.RestartPolicy != nil {
				str(string(*c.RestartPolicy))
			}
			for _, p := range c.Ports {
				if p.HostPort != 0 {
					message(&p)
				}
			}
		}
		b = append(b, 0xff)
	}
	if spec.Resources != nil {
		message(spec.Resources)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Overhead)) {
		q := spec.Overhead[name]
		str(string(name))
		str(q.String())
	}
	for i := range pod.Status.ContainerStatuses {
		resizing(pod, &pod.Status.ContainerStatuses[i], message)
	}
	for i := range spec.Volumes {
		if image := spec.Volumes[i].Image; image != nil {
			str(image.Reference)
		}
	}
	for _, name := range claimNames(pod) {
		str(name)
	}
	return string(b)
}

// resizing passes on what a container holds if that is not what it asks for.
func resizing(pod *corev1.Pod, have *corev1.ContainerStatus, message func(interface{ Marshal() ([]byte, error) })) {
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if c.Name != have.Name {
			continue
		}
		if have.Resources != nil && !equality.Semantic.DeepEqual(have.Resources.Requests, c.Resources.Requests) {
			message(have.Resources)
		}
		if have.AllocatedResources != nil && !equality.Semantic.DeepEqual(have.AllocatedResources, c.Resources.Requests) {
			message(&corev1.ResourceRequirements{Requests: have.AllocatedResources})
		}
	}
}

// newClass reads what a pod asks for. slot names resources.
func newClass(sign string, pod *corev1.Pod, slot func(corev1.ResourceName) int) *class {
	c := &class{signature: sign, sample: pod, affinity: nodeaffinity.GetRequiredNodeAffinity(pod), ports: hostPorts(pod), leaving: pod.DeletionTimestamp != nil, claims: len(claimNames(pod)) > 0}
	c.constrained = len(pod.Spec.NodeSelector) > 0 || pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil &&
		pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true})
	c.requests = append(c.requests, amount{abi.SlotPods, 1})
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		q := requests[name]
		if q.IsZero() {
			continue
		}
		c.requests = append(c.requests, amount{slot(name), quantity(name, q)})
	}
	scored := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		UseStatusResources: true,
		NonMissingContainerRequests: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(defaultMilliCPU, resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(defaultMemory, resource.BinarySI),
		},
	})
	c.scoreCPU, c.scoreM = scored.Cpu().MilliValue(), scored.Memory().Value()
	return c
}

// quantity is the amount in the unit of its slot.
func quantity(name corev1.ResourceName, q resource.Quantity) int64 {
	const most = 1 << 45 // beyond it, sums and scores lose exactness
	if name == corev1.ResourceCPU {
		return min(q.MilliValue(), most)
	}
	return min(q.Value(), most)
}

func hostPorts(pod *corev1.Pod) []hostPort {
	var ports []hostPort
	visit := func(containers []corev1.Container, all bool) {
		for i := range containers {
			c := &containers[i]
			if !all && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
				continue
			}
			for _, p := range c.Ports {
				if p.HostPort <= 0 {
					continue
				}
				h := hostPort{ip: p.HostIP, protocol: string(p.Protocol), port: p.HostPort}
				if h.ip == "" || h.ip == "::" {
					h.ip = "0.0.0.0"
				}
				if h.protocol == "" {
					h.protocol = string(corev1.ProtocolTCP)
				}
				if !slices.Contains(ports, h) {
					ports = append(ports, h)
				}
			}
		}
	}
	visit(pod.Spec.Containers, true)
	visit(pod.Spec.InitContainers, false)
	return ports
}
