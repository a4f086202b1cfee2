package podplan

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/pintle-io/pintle/runtime/container"
)

// AnnResources is the annotation of a container that holds the resources in force
// for it, as JSON of its ResourceRequirements.
const AnnResources = "resources"

// Resize is how far a change of resources has come. The pod that is observed with
// it has the resources that were granted.
type Resize struct {
	// Pending says why the resources that the API asks for were not granted.
	Pending *Rejection
	// Error is why granted ones could not be put in force, and Until when that
	// is tried again.
	Error string
	Until time.Time
}

// resizable resources are put in force while a container runs.
var resizable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// SameResources compares what can be resized.
func SameResources(a, b corev1.ResourceRequirements) bool { return len(changed(a, b)) == 0 }

func changed(a, b corev1.ResourceRequirements) (names []corev1.ResourceName) {
	for _, name := range resizable {
		if !same(a.Requests, b.Requests, name) || !same(a.Limits, b.Limits, name) {
			names = append(names, name)
		}
	}
	return names
}

func same(a, b corev1.ResourceList, name corev1.ResourceName) bool {
	x, y := a[name], b[name]
	return x.Cmp(y) == 0
}

// InForce reads AnnResources; nil for a container made before there was one.
func InForce(l *container.Container) *corev1.ResourceRequirements {
	var out corev1.ResourceRequirements
	if text := l.Annotations[AnnResources]; text == "" || json.Unmarshal([]byte(text), &out) != nil {
		return nil
	}
	return &out
}

// resizes lists the running containers whose resources are not in force yet.
func (v *view) resizes() (list []*corev1.Container) {
	visit := func(c *corev1.Container) {
		l := v.latest(c.Name)
		if !v.here(l) || l.State != container.Running {
			return
		}
		if now := InForce(l); now != nil && !SameResources(*now, c.Resources) {
			list = append(list, c)
		}
	}
	for i := range v.Pod.Spec.InitContainers {
		if c := &v.Pod.Spec.InitContainers[i]; sidecar(c) {
			visit(c)
		}
	}
	for i := range v.Pod.Spec.Containers {
		visit(&v.Pod.Spec.Containers[i])
	}
	return list
}

// resize puts granted resources in force, or ends containers that must start anew
// for that.
func (p *planner) resize() {
	list := p.resizes()
	if len(list) == 0 {
		return
	}
	if p.Now.Before(p.Resize.Until) {
		p.requeue(p.Resize.Until.Sub(p.Now))
		return
	}
	p.do(Action{Op: ResizePod})
	for _, c := range list {
		if l := p.latest(c.Name); NeedsRestart(c, *InForce(l)) {
			p.kill(l, p.Grace(), fmt.Sprintf("Container %s resize requires restart", c.Name))
		}
	}
}

// NeedsRestart reports whether the change from what is in force needs a new
// container, by its resize policy.
func NeedsRestart(c *corev1.Container, now corev1.ResourceRequirements) bool {
	return slices.ContainsFunc(changed(now, c.Resources), func(name corev1.ResourceName) bool {
		return slices.Contains(c.ResizePolicy, corev1.ContainerResizePolicy{ResourceName: name, RestartPolicy: corev1.RestartContainer})
	})
}

// AdmitResize decides whether a pod that runs may have the resources it asks for,
// beside the others on the node.
func AdmitResize(node *corev1.Node, others []*corev1.Pod, pod *corev1.Pod) *Rejection {
	wanted := pod.DeepCopy()
	wanted.Status = corev1.PodStatus{}
	requests := resource.PodRequests(wanted, resource.PodResourcesOptions{})
	for _, name := range resizable {
		if asked, can := amount(requests, name), amount(node.Status.Allocatable, name); asked > can {
			return &Rejection{corev1.PodReasonInfeasible,
				fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, asked, can)}
		}
	}
	if r := fits(node, others, wanted); r != nil {
		return &Rejection{corev1.PodReasonDeferred, r.Message}
	}
	return nil
}

// resizeConditions are there only while there is something to say.
func (v *view) resizeConditions(s *corev1.PodStatus) {
	set := func(t corev1.PodConditionType, is bool, reason, message string) {
		i := slices.IndexFunc(s.Conditions, func(c corev1.PodCondition) bool { return c.Type == t })
		switch {
		case is:
			v.setCondition(s, t, true, reason, message)
		case i >= 0:
			s.Conditions = slices.Delete(s.Conditions, i, i+1)
		}
	}
	running := !terminal(s.Phase)
	if r := v.Resize.Pending; r != nil && running {
		set(corev1.PodResizePending, true, r.Reason, r.Message)
	} else {
		set(corev1.PodResizePending, false, "", "")
	}
	reason := ""
	if v.Resize.Error != "" {
		reason = corev1.PodReasonError
	}
	set(corev1.PodResizeInProgress, running && len(v.resizes()) > 0, reason, v.Resize.Error)
}

// resources reports what was granted to a container, and what is in force.
func (w *statusWriter) resources(c *corev1.Container, l *container.Container, s *corev1.ContainerStatus) {
	s.Resources = c.Resources.DeepCopy()
	if now := InForce(l); now != nil && l.State == container.Running {
		for _, name := range resizable {
			replace(s.Resources.Requests, now.Requests, name)
			replace(s.Resources.Limits, now.Limits, name)
		}
	}
	s.AllocatedResources = nil
	if len(c.Resources.Requests) > 0 {
		s.AllocatedResources = c.Resources.Requests.DeepCopy()
	}
}

// replace takes one amount over from another list.
func replace(in, from corev1.ResourceList, name corev1.ResourceName) {
	q, ok := from[name]
	switch {
	case in == nil:
	case ok:
		in[name] = q
	default:
		delete(in, name)
	}
}

// WithResources is the pod with other resources in the containers named.
func WithResources(pod *corev1.Pod, granted map[string]corev1.ResourceRequirements) *corev1.Pod {
	out := *pod
	out.Spec.Containers, out.Spec.InitContainers = slices.Clone(pod.Spec.Containers), slices.Clone(pod.Spec.InitContainers)
	for _, list := range [][]corev1.Container{out.Spec.Containers, out.Spec.InitContainers} {
		for i := range list {
			if r, ok := granted[list[i].Name]; ok {
				list[i].Resources = r
			}
		}
	}
	return &out
}
