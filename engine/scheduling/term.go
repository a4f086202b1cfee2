package scheduling

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/pintle-io/pintle/wasm/abi"
)

// topologyKey numbers the values of one node label. Keys are never forgotten.
type topologyKey struct {
	label   string
	index   int
	domains map[string]uint32
}

// count is the number of domain numbers, the 0 of nodes without the label included.
func (k *topologyKey) count() int { return len(k.domains) + 1 }

func (c *cluster) key(label string) *topologyKey {
	k, ok := c.keys[label]
	if !ok {
		k = &topologyKey{label: label, index: len(c.keys), domains: map[string]uint32{}}
		c.keys[label] = k
		c.snap.Ensure(abi.Domain.Column(k.index), abi.U32)
		for _, n := range c.rows {
			if n != nil {
				c.writeDomain(k, n)
			}
		}
		c.snap.TouchColumn(abi.Domain.Column(k.index))
		c.version++
	}
	return k
}

func (c *cluster) writeDomain(k *topologyKey, n *nodeInfo) {
	value, has := n.node.Labels[k.label]
	d := uint32(0)
	if has {
		if d = k.domains[value]; d == 0 {
			d = uint32(len(k.domains)) + 1
			k.domains[value] = d
			c.version++
			c.dirtySums()
		}
	}
	c.snap.U32(abi.Domain.Column(k.index))[n.row] = d
}

// domain is the number of the row's domain, 0 if it has none.
func (c *cluster) domain(k *topologyKey, row int) uint32 {
	return c.snap.U32(abi.Domain.Column(k.index))[row]
}

// mask is a predicate over nodes, kept as a bitmap.
type mask struct {
	id    string
	index int
	users int
	match func(*corev1.Node) bool
}

// mask registers a predicate for a class; equal ids mean equal predicates.
func (c *cluster) mask(id string, match func(*corev1.Node) bool) *mask {
	m, ok := c.masks[id]
	if !ok {
		// Index 0 is not used: a mask id of 0 in the batch means none.
		if c.maskIDs.next == 0 {
			c.maskIDs.next = 1
		}
		m = &mask{id: id, index: c.maskIDs.take(), match: match}
		c.masks[id] = m
		c.snap.Ensure(abi.Mask.Column(m.index), abi.Bits)
		for _, n := range c.rows {
			if n != nil {
				c.writeMask(m, n)
			}
		}
		c.snap.TouchColumn(abi.Mask.Column(m.index))
		c.version++
	}
	m.users++
	return m
}

func (c *cluster) dropMask(m *mask) {
	if m.users--; m.users == 0 {
		delete(c.masks, m.id)
		clear(c.snap.Bits(abi.Mask.Column(m.index)))
		c.snap.TouchColumn(abi.Mask.Column(m.index))
		c.maskIDs.give(m.index)
		c.version++
	}
}

func (c *cluster) writeMask(m *mask, n *nodeInfo) {
	setBit(c.snap.Bits(abi.Mask.Column(m.index)), n.row, m.match(n.node))
}

// podSelector selects pods by namespace and labels.
type podSelector struct {
	namespaces        sets.Set[string]
	namespaceSelector labels.Selector // nil for none
	selector          labels.Selector
}

// selects reports whether the pod is selected.
func (c *cluster) selects(s podSelector, pod *corev1.Pod) bool {
	if !s.selector.Matches(labels.Set(pod.Labels)) {
		return false
	}
	if s.namespaces.Has(pod.Namespace) {
		return true
	}
	if s.namespaceSelector == nil {
		return false
	}
	if s.namespaceSelector.Empty() {
		return true
	}
	ns, err := c.namespaces.Get(pod.Namespace)
	return err == nil && s.namespaceSelector.Matches(labels.Set(ns.Labels))
}

// affinitySelector is the selector of a pod affinity term of pod.
func affinitySelector(pod *corev1.Pod, t *corev1.PodAffinityTerm) (podSelector, error) {
	selector, err := selectorWithKeys(pod, t.LabelSelector, t.MatchLabelKeys, t.MismatchLabelKeys)
	if err != nil {
		return podSelector{}, err
	}
	s := podSelector{selector: selector, namespaces: sets.New(t.Namespaces...)}
	if t.NamespaceSelector != nil {
		if s.namespaceSelector, err = metav1.LabelSelectorAsSelector(t.NamespaceSelector); err != nil {
			return podSelector{}, err
		}
	} else if len(t.Namespaces) == 0 {
		s.namespaces.Insert(pod.Namespace)
	}
	return s, nil
}

// selectorWithKeys adds to a label selector the pod's own values of the keys to
// match and to mismatch.
func selectorWithKeys(pod *corev1.Pod, ls *metav1.LabelSelector, match, mismatch []string) (labels.Selector, error) {
	if len(match)+len(mismatch) > 0 && ls != nil {
		ls = ls.DeepCopy()
		for _, k := range match {
			if v, ok := pod.Labels[k]; ok {
				ls.MatchExpressions = append(ls.MatchExpressions, metav1.LabelSelectorRequirement{
					Key: k, Operator: metav1.LabelSelectorOpIn, Values: []string{v},
				})
			}
		}
		for _, k := range mismatch {
			if v, ok := pod.Labels[k]; ok {
				ls.MatchExpressions = append(ls.MatchExpressions, metav1.LabelSelectorRequirement{
					Key: k, Operator: metav1.LabelSelectorOpNotIn, Values: []string{v},
				})
			}
		}
	}
	return metav1.LabelSelectorAsSelector(ls)
}

func (s podSelector) id() string {
	id := s.selector.String() + "\x00"
	if _, selectable := s.selector.Requirements(); !selectable {
		id = "nothing\x00" // its text is that of everything
	}
	for _, ns := range sets.List(s.namespaces) {
		id += ns + ","
	}
	if s.namespaceSelector != nil {
		id += "\x00" + s.namespaceSelector.String() + "\x00"
	}
	return id
}

// term is a count of pods per node: of those that match all its selectors, or of
// those that own it as an anti-affinity or preference against pods that match.
type term struct {
	id        string
	index     int
	users     int
	selectors []podSelector
	sums      []*sum

	owned bool
	key   *topologyKey // of owned terms
	// hard marks required anti-affinity; other owned terms are preferences,
	// counted by weight.
	hard bool
	// living leaves out pods that are being deleted.
	living bool
}

// term registers a term for a class.
func (c *cluster) term(t term) *term {
	have, ok := c.terms[t.id]
	if !ok {
		have = &t
		have.index = c.termIDs.take()
		c.terms[t.id] = have
		c.snap.Ensure(abi.Count.Column(have.index), abi.I32)
		c.version++
		for _, n := range c.rows {
			if n != nil {
				c.writeTerm(have, n)
			}
		}
		c.snap.TouchColumn(abi.Count.Column(have.index))
	}
	have.users++
	return have
}

func (c *cluster) dropTerm(t *term) {
	if t.users--; t.users == 0 {
		delete(c.terms, t.id)
		if t.hard {
			c.dropSum(c.sums[sumID{t, t.key, nil}])
		}
		clear(c.snap.I32(abi.Count.Column(t.index)))
		c.snap.TouchColumn(abi.Count.Column(t.index))
		c.termIDs.give(t.index)
		c.version++
	}
}

// writeTerm counts the node's pods anew.
func (c *cluster) writeTerm(t *term, n *nodeInfo) {
	count := int32(0)
	for _, p := range n.pods {
		count += c.amount(p.class, t)
	}
	c.snap.I32(abi.Count.Column(t.index))[n.row] = count
}

// amount is what one pod of the class adds to the term.
func (c *cluster) amount(cl *class, t *term) int32 {
	if t.owned {
		n := int32(0)
		for _, o := range cl.owns {
			if o.term == t {
				n += o.amount
			}
		}
		return n
	}
	if t.living && cl.leaving {
		return 0
	}
	for _, s := range t.selectors {
		if !c.selects(s, cl.sample) {
			return 0
		}
	}
	return 1
}

// sumID names a sum of a term's counts over the domains of a key, over the nodes
// in a mask.
type sumID struct {
	term *term
	key  *topologyKey
	mask *mask
}

// sum is the engine's own domain sums, which answers are checked against.
type sum struct {
	sumID
	users  int
	dirty  bool
	counts []int32 // by domain
	rows   []int32 // by domain: nodes that count
}

func (c *cluster) sum(id sumID) *sum {
	s, ok := c.sums[id]
	if !ok {
		s = &sum{sumID: id, dirty: true}
		c.sums[id] = s
		id.term.sums = append(id.term.sums, s)
	}
	s.users++
	return s
}

func (c *cluster) dropSum(s *sum) {
	if s.users--; s.users > 0 {
		return
	}
	delete(c.sums, s.sumID)
	for i, o := range s.term.sums {
		if o == s {
			s.term.sums = append(s.term.sums[:i], s.term.sums[i+1:]...)
			break
		}
	}
}

func (c *cluster) dirtySums() {
	for _, s := range c.sums {
		s.dirty = true
	}
}

// inMask reports whether the row counts for the sum.
func (c *cluster) inMask(m *mask, row int) bool {
	return m == nil || c.snap.Bits(abi.Mask.Column(m.index))[row>>6]>>(row&63)&1 != 0
}

func (s *sum) add(c *cluster, row int, delta int32) {
	if s.dirty || !c.inMask(s.mask, row) {
		return
	}
	if d := c.domain(s.key, row); d != 0 {
		s.counts[d] += delta
	}
}

// refresh computes the sum anew if nodes have changed.
func (s *sum) refresh(c *cluster) {
	if !s.dirty {
		return
	}
	s.counts, s.rows, s.dirty = make([]int32, s.key.count()), make([]int32, s.key.count()), false
	count := c.snap.I32(abi.Count.Column(s.term.index))
	for row, n := range c.rows {
		if n == nil || !c.inMask(s.mask, row) {
			continue
		}
		if d := c.domain(s.key, row); d != 0 {
			s.counts[d] += count[row]
			s.rows[d]++
		}
	}
}
