package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/pintle-io/pintle/wasm/abi"
)

// need is one constraint or preference of a class that couples nodes.
type need struct {
	op         abi.Op
	term       *term
	key        *topologyKey
	mask       *mask // nodes that count; nil for all
	sum        *sum  // of hard needs
	maxSkew    int64
	minDomains int64
	weight     int64
	self       bool // the pod matches the term itself
	byDefault  bool // a spread that the pod did not ask for
}

// preference is a weighted preferred node affinity term.
type preference struct {
	mask   *mask
	weight int64
}

// hardAffinityWeight is how much a required pod affinity of an existing pod draws
// pods that match it.
const hardAffinityWeight = 1

// addNeeds registers what the class asks of the cluster's dictionaries.
func (c *cluster) addNeeds(cl *class) {
	spec := &cl.sample.Spec
	for _, p := range cl.ports {
		c.addPort(p)
	}
	if cl.constrained {
		cl.nodes = c.mask("affinity\x00"+affinityID(spec), cl.matchesAffinity)
	}
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil {
		for _, t := range spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			c.addPreference(cl, t)
		}
	}
	for i := range spec.TopologySpreadConstraints {
		c.addSpread(cl, &spec.TopologySpreadConstraints[i])
	}
	if cl.spreads != nil {
		c.addDefaultSpread(cl)
	}
	if spec.Affinity != nil && spec.Affinity.PodAffinity != nil {
		c.addAffinity(cl, spec.Affinity.PodAffinity)
	}
	if spec.Affinity != nil && spec.Affinity.PodAntiAffinity != nil {
		c.addAntiAffinity(cl, spec.Affinity.PodAntiAffinity)
	}
}

// dropClass gives back what addNeeds registered.
func (c *cluster) dropClass(cl *class) {
	for _, p := range cl.ports {
		c.dropPort(p)
	}
	if cl.nodes != nil {
		c.dropMask(cl.nodes)
	}
	for _, p := range cl.prefers {
		c.dropMask(p.mask)
	}
	for i := range cl.needs {
		n := &cl.needs[i]
		if n.sum != nil {
			c.dropSum(n.sum)
		}
		if n.mask != nil {
			c.dropMask(n.mask)
		}
		c.dropTerm(n.term)
	}
	for _, o := range cl.owns {
		c.dropTerm(o.term)
	}
}

func (cl *class) matchesAffinity(node *corev1.Node) bool {
	ok, err := cl.affinity.Match(node)
	return ok && err == nil
}

// tolerates reports whether the class tolerates the taint.
func (cl *class) tolerates(t *corev1.Taint) bool {
	return schedulinghelper.TolerationsTolerateTaint(klog.Logger{}, cl.sample.Spec.Tolerations, t, false)
}

// toleratesNode reports whether no taint keeps the class off the node.
func (cl *class) toleratesNode(node *corev1.Node) bool {
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !cl.tolerates(t) {
			return false
		}
	}
	return true
}

func affinityID(spec *corev1.PodSpec) string {
	id := labels.Set(spec.NodeSelector).String()
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil {
		if required := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
			id += "\x00" + required.String()
		}
	}
	return id
}

func (c *cluster) addPreference(cl *class, t corev1.PreferredSchedulingTerm) {
	t.Weight, t.Preference = max(t.Weight, 1), *t.Preference.DeepCopy()
	weight := int64(t.Weight)
	t.Weight = 1
	terms, err := nodeaffinity.NewPreferredSchedulingTerms([]corev1.PreferredSchedulingTerm{t})
	if err != nil {
		return // validation admits no such term; it prefers nothing
	}
	m := c.mask("prefer\x00"+t.Preference.String(), func(n *corev1.Node) bool { return terms.Score(n) > 0 })
	cl.prefers = append(cl.prefers, preference{m, weight})
}

func (c *cluster) addSpread(cl *class, t *corev1.TopologySpreadConstraint) {
	selector, err := selectorWithKeys(cl.sample, t.LabelSelector, t.MatchLabelKeys, nil)
	if err != nil {
		return // validation admits no such selector
	}
	n := need{op: abi.OpSpread, key: c.key(t.TopologyKey), maxSkew: int64(t.MaxSkew), minDomains: 1}
	if t.WhenUnsatisfiable == corev1.ScheduleAnyway {
		n.op = abi.OpSpreadSoft
	}
	if t.MinDomains != nil {
		n.minDomains = int64(*t.MinDomains)
	}
	n.term = c.spreadTerm(cl.sample.Namespace, selector)
	n.self = selector.Matches(labels.Set(cl.sample.Labels))
	n.mask = c.eligible(cl, t)
	if n.op == abi.OpSpread {
		n.sum = c.sum(sumID{n.term, n.key, n.mask})
	}
	cl.needs = append(cl.needs, n)
}

// eligible is the mask of nodes that count for a spread constraint: those the
// pod's node affinity and, if asked, its tolerations admit, which have the keys of
// all constraints of the same kind.
func (c *cluster) eligible(cl *class, t *corev1.TopologySpreadConstraint) *mask {
	affinity := cl.constrained && (t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor)
	taints := t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
	var keys []string
	for _, o := range cl.sample.Spec.TopologySpreadConstraints {
		if o.WhenUnsatisfiable == t.WhenUnsatisfiable && o.TopologyKey != t.TopologyKey {
			keys = append(keys, o.TopologyKey)
		}
	}
	if !affinity && !taints && len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	id := "eligible\x00" + strings.Join(keys, ",")
	if affinity {
		id += "\x00affinity\x00" + affinityID(&cl.sample.Spec)
	}
	if taints {
		id += fmt.Sprintf("\x00taints\x00%v", cl.sample.Spec.Tolerations)
	}
	return c.mask(id, func(n *corev1.Node) bool {
		for _, k := range keys {
			if _, ok := n.Labels[k]; !ok {
				return false
			}
		}
		return (!affinity || cl.matchesAffinity(n)) && (!taints || cl.toleratesNode(n))
	})
}

// matchTerm registers the term that counts pods which match all the selectors.
func (c *cluster) matchTerm(selectors ...podSelector) *term {
	id := "match"
	for _, s := range selectors {
		id += "\x00" + s.id()
	}
	return c.term(term{id: id, selectors: selectors})
}

// spreadTerm registers the term that counts the pods of a namespace which are to be
// spread: not those that are being deleted, and none for an empty selector.
func (c *cluster) spreadTerm(namespace string, selector labels.Selector) *term {
	if selector.Empty() {
		selector = labels.Nothing()
	}
	s := podSelector{selector: selector, namespaces: sets.New(namespace)}
	return c.term(term{id: "spread\x00" + s.id(), selectors: []podSelector{s}, living: true})
}

// own registers a term of the class that other pods must heed.
func (c *cluster) own(cl *class, s podSelector, key *topologyKey, hard bool, amount int32) {
	kind := "prefer"
	if hard {
		kind = "anti"
	}
	t := c.term(term{
		id: kind + "\x00" + key.label + "\x00" + s.id(), selectors: []podSelector{s}, owned: true, hard: hard, key: key,
	})
	if hard && t.users == 1 {
		c.sum(sumID{t, key, nil})
	}
	cl.owns = append(cl.owns, add{t, amount})
}

func (c *cluster) addAffinity(cl *class, a *corev1.PodAffinity) {
	var selectors []podSelector
	terms := a.RequiredDuringSchedulingIgnoredDuringExecution
	for i := range terms {
		s, err := affinitySelector(cl.sample, &terms[i])
		if err != nil {
			return // validation admits no such selector
		}
		selectors = append(selectors, s)
	}
	self := !slices.ContainsFunc(selectors, func(s podSelector) bool { return !c.selects(s, cl.sample) })
	for i := range terms {
		n := need{op: abi.OpAffinity, term: c.matchTerm(selectors...), key: c.key(terms[i].TopologyKey), self: self}
		n.sum = c.sum(sumID{n.term, n.key, nil})
		cl.needs = append(cl.needs, n)
		c.own(cl, selectors[i], n.key, false, hardAffinityWeight)
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		c.addWeighted(cl, &a.PreferredDuringSchedulingIgnoredDuringExecution[i], 1)
	}
}

func (c *cluster) addAntiAffinity(cl *class, a *corev1.PodAntiAffinity) {
	terms := a.RequiredDuringSchedulingIgnoredDuringExecution
	for i := range terms {
		s, err := affinitySelector(cl.sample, &terms[i])
		if err != nil {
			continue // validation admits no such selector
		}
		n := need{op: abi.OpAntiAffinity, term: c.matchTerm(s), key: c.key(terms[i].TopologyKey)}
		n.sum = c.sum(sumID{n.term, n.key, nil})
		cl.needs = append(cl.needs, n)
		c.own(cl, s, n.key, true, 1)
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		c.addWeighted(cl, &a.PreferredDuringSchedulingIgnoredDuringExecution[i], -1)
	}
}

func (c *cluster) addWeighted(cl *class, t *corev1.WeightedPodAffinityTerm, sign int64) {
	s, err := affinitySelector(cl.sample, &t.PodAffinityTerm)
	if err != nil {
		return // validation admits no such selector
	}
	n := need{op: abi.OpPrefer, term: c.matchTerm(s), key: c.key(t.PodAffinityTerm.TopologyKey), weight: sign * int64(t.Weight)}
	cl.needs = append(cl.needs, n)
	c.own(cl, s, n.key, false, int32(n.weight))
}
