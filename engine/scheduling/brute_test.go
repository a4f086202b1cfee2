package scheduling

import (
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// brute answers by plain loops over nodes and pods which nodes a pod may go to and
// how they rank, straight from what Kubernetes documents about each filter and
// score of its default profile. It shares no code with the scheduler.
type brute struct {
	nodes      []*corev1.Node
	pods       []*corev1.Pod // with spec.nodeName
	namespaces map[string]map[string]string
	services   []*corev1.Service
}

func (b *brute) on(node string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range b.pods {
		if p.Spec.NodeName == node {
			out = append(out, p)
		}
	}
	return out
}

func (b *brute) node(name string) *corev1.Node {
	for _, n := range b.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// feasible is the conjunction of all filters.
func (b *brute) feasible(p *corev1.Pod, n *corev1.Node) bool {
	cordoned := corev1.Taint{Key: "node.kubernetes.io/unschedulable", Effect: corev1.TaintEffectNoSchedule}
	return (!n.Spec.Unschedulable || tolerated(p, cordoned)) && taintsTolerated(p, n) && bruteAffinity(p, n) &&
		b.portsFree(p, n) && b.resourcesFree(p, n) && b.spreadOK(p, n) && b.affinityOK(p, n)
}

func tolerated(p *corev1.Pod, t corev1.Taint) bool {
	for _, o := range p.Spec.Tolerations {
		keyFits := o.Key == t.Key || o.Key == "" && o.Operator == corev1.TolerationOpExists
		valueFits := o.Operator == corev1.TolerationOpExists || o.Value == t.Value
		if keyFits && valueFits && (o.Effect == "" || o.Effect == t.Effect) {
			return true
		}
	}
	return false
}

func taintsTolerated(p *corev1.Pod, n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(p, t) {
			return false
		}
	}
	return true
}

// bruteAffinity is the node selector and required node affinity.
func bruteAffinity(p *corev1.Pod, n *corev1.Node) bool {
	for k, v := range p.Spec.NodeSelector {
		if have, ok := n.Labels[k]; !ok || have != v {
			return false
		}
	}
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	return slices.ContainsFunc(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms,
		func(t corev1.NodeSelectorTerm) bool { return termFits(t, n) })
}

func termFits(t corev1.NodeSelectorTerm, n *corev1.Node) bool {
	if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
		return false
	}
	for _, r := range t.MatchExpressions {
		v, ok := n.Labels[r.Key]
		if !requirementFits(string(r.Operator), r.Values, v, ok) {
			return false
		}
	}
	for _, r := range t.MatchFields {
		if !requirementFits(string(r.Operator), r.Values, n.Name, true) {
			return false
		}
	}
	return true
}

func requirementFits(op string, values []string, v string, has bool) bool {
	switch op {
	case "In":
		return has && slices.Contains(values, v)
	case "NotIn":
		return !has || !slices.Contains(values, v)
	case "Exists":
		return has
	case "DoesNotExist":
		return !has
	}
	have, err := strconv.Atoi(v)
	want, _ := strconv.Atoi(values[0])
	return has && err == nil && (op == "Gt" && have > want || op == "Lt" && have < want)
}

// labelsFit is a label selector: nil selects nothing, an empty one everything.
func labelsFit(s *metav1.LabelSelector, l map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.MatchLabels {
		if have, ok := l[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		v, ok := l[r.Key]
		if !requirementFits(string(r.Operator), r.Values, v, ok) {
			return false
		}
	}
	return true
}

func portsOf(p *corev1.Pod) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				out = append(out, port)
			}
		}
	}
	return out
}

func (b *brute) portsFree(p *corev1.Pod, n *corev1.Node) bool {
	everywhere := func(ip string) bool { return ip == "" || ip == "0.0.0.0" }
	for _, other := range b.on(n.Name) {
		for _, x := range portsOf(p) {
			for _, y := range portsOf(other) {
				if x.HostPort == y.HostPort && x.Protocol == y.Protocol && (x.HostIP == y.HostIP || everywhere(x.HostIP) || everywhere(y.HostIP)) {
					return false
				}
			}
		}
	}
	return true
}

// asks is what a pod requests of a resource in base units (CPU in thousandths):
// the larger of what its containers need together and what its init containers
// need on the way there, sidecars included from their start on, plus overhead.
// missing is what a container without the request counts with.
func asks(p *corev1.Pod, name corev1.ResourceName, missing int64) int64 {
	of := func(l corev1.ResourceList) int64 {
		q, ok := l[name]
		switch {
		case !ok:
			return missing
		case name == corev1.ResourceCPU:
			return q.MilliValue()
		}
		return q.Value()
	}
	sum, peak, sidecars := int64(0), int64(0), int64(0)
	for _, c := range p.Spec.Containers {
		sum += of(c.Resources.Requests)
	}
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars += of(c.Resources.Requests)
			peak = max(peak, sidecars)
		} else {
			peak = max(peak, sidecars+of(c.Resources.Requests))
		}
	}
	total := max(sum+sidecars, peak)
	if q, ok := p.Spec.Overhead[name]; ok {
		if name == corev1.ResourceCPU {
			return total + q.MilliValue()
		}
		return total + q.Value()
	}
	return total
}

func (b *brute) used(n *corev1.Node, name corev1.ResourceName, missing int64) int64 {
	sum := int64(0)
	for _, p := range b.on(n.Name) {
		sum += asks(p, name, missing)
	}
	return sum
}

func room(n *corev1.Node, name corev1.ResourceName) int64 {
	q := n.Status.Allocatable[name]
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

var bruteResources = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, "example.com/gpu"}

func (b *brute) resourcesFree(p *corev1.Pod, n *corev1.Node) bool {
	if int64(len(b.on(n.Name)))+1 > room(n, corev1.ResourcePods) {
		return false
	}
	for _, name := range bruteResources {
		if want := asks(p, name, 0); want > 0 && want > room(n, name)-b.used(n, name, 0) {
			return false
		}
	}
	return true
}

// spreadSelector is a constraint's selector with the pod's values of its keys.
func spreadSelector(p *corev1.Pod, t *corev1.TopologySpreadConstraint) *metav1.LabelSelector {
	if t.LabelSelector == nil {
		return nil
	}
	s := t.LabelSelector.DeepCopy()
	for _, k := range t.MatchLabelKeys {
		if v, ok := p.Labels[k]; ok {
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: k, Operator: "In", Values: []string{v}})
		}
	}
	return s
}

func emptySelector(s *metav1.LabelSelector) bool {
	return s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0
}

// spreadCount is how many living pods of the namespace on the node match.
func (b *brute) spreadCount(namespace string, s *metav1.LabelSelector, n *corev1.Node) int {
	count := 0
	for _, o := range b.on(n.Name) {
		if o.DeletionTimestamp == nil && o.Namespace == namespace && !emptySelector(s) && labelsFit(s, o.Labels) {
			count++
		}
	}
	return count
}

func included(p *corev1.Pod, t *corev1.TopologySpreadConstraint, n *corev1.Node) bool {
	if (t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor) && !bruteAffinity(p, n) {
		return false
	}
	return t.NodeTaintsPolicy == nil || *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyIgnore || taintsTolerated(p, n)
}

func hasKeys(n *corev1.Node, ts []corev1.TopologySpreadConstraint) bool {
	for _, t := range ts {
		if _, ok := n.Labels[t.TopologyKey]; !ok {
			return false
		}
	}
	return true
}

func spreads(p *corev1.Pod, when corev1.UnsatisfiableConstraintAction) []corev1.TopologySpreadConstraint {
	var out []corev1.TopologySpreadConstraint
	for _, t := range p.Spec.TopologySpreadConstraints {
		if t.WhenUnsatisfiable == when {
			out = append(out, t)
		}
	}
	return out
}

func (b *brute) spreadOK(p *corev1.Pod, n *corev1.Node) bool {
	hard := spreads(p, corev1.DoNotSchedule)
	if !hasKeys(n, hard) {
		return false
	}
	for i := range hard {
		t := &hard[i]
		s := spreadSelector(p, t)
		counts := map[string]int{}
		for _, o := range b.nodes {
			if hasKeys(o, hard) && included(p, t, o) {
				counts[o.Labels[t.TopologyKey]] += b.spreadCount(p.Namespace, s, o)
			}
		}
		least := math.MaxInt
		for _, c := range counts {
			least = min(least, c)
		}
		if len(counts) == 0 || t.MinDomains != nil && len(counts) < int(*t.MinDomains) {
			least = 0
		}
		self := 0
		if labelsFit(s, p.Labels) {
			self = 1
		}
		if counts[n.Labels[t.TopologyKey]]+self-least > int(t.MaxSkew) {
			return false
		}
	}
	return true
}

// termSelects reports whether a pod affinity term of owner selects the pod.
func (b *brute) termSelects(owner *corev1.Pod, t *corev1.PodAffinityTerm, p *corev1.Pod) bool {
	in := slices.Contains(t.Namespaces, p.Namespace) || len(t.Namespaces) == 0 && t.NamespaceSelector == nil && p.Namespace == owner.Namespace ||
		t.NamespaceSelector != nil && labelsFit(t.NamespaceSelector, b.namespaces[p.Namespace])
	return in && labelsFit(t.LabelSelector, p.Labels)
}

func near(p *corev1.Pod) (required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	if a := p.Spec.Affinity; a != nil && a.PodAffinity != nil {
		return a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return nil, nil
}

func apart(p *corev1.Pod) (required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return nil, nil
}

// together reports whether the pod's node shares the value of the key with n.
func (b *brute) together(o *corev1.Pod, n *corev1.Node, key string) bool {
	on := b.node(o.Spec.NodeName)
	if on == nil {
		return false
	}
	x, ok := on.Labels[key]
	y, ok2 := n.Labels[key]
	return ok && ok2 && x == y
}

func (b *brute) affinityOK(p *corev1.Pod, n *corev1.Node) bool {
	for _, o := range b.pods {
		terms, _ := apart(o)
		for i := range terms {
			if b.termSelects(o, &terms[i], p) && b.together(o, n, terms[i].TopologyKey) {
				return false
			}
		}
	}
	terms, _ := apart(p)
	for i := range terms {
		for _, o := range b.pods {
			if b.termSelects(p, &terms[i], o) && b.together(o, n, terms[i].TopologyKey) {
				return false
			}
		}
	}
	return b.nearOK(p, n)
}

// nearOK is required pod affinity: in every term's domain of the node is a pod that
// all terms select; or no such pod is anywhere and the pod selects itself.
func (b *brute) nearOK(p *corev1.Pod, n *corev1.Node) bool {
	terms, _ := near(p)
	if len(terms) == 0 {
		return true
	}
	all := func(o *corev1.Pod) bool {
		return !slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return !b.termSelects(p, &t, o) })
	}
	met, anywhere := true, false
	for _, t := range terms {
		if _, ok := n.Labels[t.TopologyKey]; !ok {
			return false
		}
		here := false
		for _, o := range b.pods {
			if on := b.node(o.Spec.NodeName); on != nil && all(o) {
				_, has := on.Labels[t.TopologyKey]
				anywhere = anywhere || has
				here = here || b.together(o, n, t.TopologyKey)
			}
		}
		met = met && here
	}
	return met || !anywhere && all(p)
}

func imageName(s string) string {
	if strings.LastIndex(s, ":") <= strings.LastIndex(s, "/") {
		return s + ":latest"
	}
	return s
}
