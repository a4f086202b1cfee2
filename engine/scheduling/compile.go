package scheduling

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/wasm/abi"
)

var unschedulableTaint = corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}

// compiled is a class in the terms of the snapshot.
type compiled struct {
	version  uint64 // of the dictionaries
	header   abi.ClassHeader
	entries  []abi.Entry
	adds     []add   // what one pod adds to which counts
	existing []*term // required anti-affinity of other pods that the class matches
}

// compile returns the class for the dictionaries as they are now.
func (c *cluster) compile(cl *class) *compiled {
	k := &cl.compiled
	if k.version == c.version && k.entries != nil {
		return k
	}
	*k = compiled{version: c.version, entries: k.entries[:0]}
	k.header = abi.ClassHeader{Node: abi.NoNode, ScoreCPU: cl.scoreCPU, ScoreMemory: cl.scoreM}
	if cl.tolerates(&unschedulableTaint) {
		k.header.Flags |= abi.ToleratesUnschedulable
	}
	for _, r := range cl.requests {
		k.put(abi.Entry{Op: abi.OpRequest, Column: abi.Free.Column(r.slot), A: r.value})
	}
	c.compileTaints(cl, k)
	if cl.nodes != nil {
		k.put(abi.Entry{Op: abi.OpMask, Column: abi.Mask.Column(cl.nodes.index)})
	}
	if cl.claims {
		k.put(abi.Entry{Op: abi.OpMask, Column: abi.Mask.Column(c.admitting.index)})
	}
	for _, p := range cl.prefers {
		k.put(abi.Entry{Op: abi.OpPreferMask, Column: abi.Mask.Column(p.mask.index), A: p.weight})
	}
	c.compilePorts(cl, k)
	for i := range cl.needs {
		k.put(cl.needs[i].entry())
	}
	c.compileTerms(cl, k)
	return k
}

func (k *compiled) put(e abi.Entry) { k.entries = append(k.entries, e) }

func (c *cluster) compileTaints(cl *class, k *compiled) {
	hard, soft := make([]uint64, c.taints.words), make([]uint64, c.taints.words)
	for bit := range c.taints.list {
		t := &c.taints.list[bit]
		switch {
		case cl.tolerates(t):
		case t.Effect == corev1.TaintEffectPreferNoSchedule:
			soft[bit/64] |= 1 << (bit % 64)
		default:
			hard[bit/64] |= 1 << (bit % 64)
		}
	}
	for w := range c.taints.words {
		if hard[w] != 0 {
			k.put(abi.Entry{Op: abi.OpTaint, Column: abi.Taint.Column(w), A: int64(hard[w])})
		}
		if soft[w] != 0 {
			k.put(abi.Entry{Op: abi.OpSoftTaint, Column: abi.SoftTaint.Column(w), A: int64(soft[w])})
		}
	}
}

func (c *cluster) compilePorts(cl *class, k *compiled) {
	for _, p := range cl.ports {
		k.put(abi.Entry{Op: abi.OpPort, Column: abi.Port.Column(c.ports.entries[p].index)})
	}
	if len(cl.ports) == 0 {
		return
	}
	var taken []int
	for want, e := range c.ports.entries {
		if slices.ContainsFunc(cl.ports, want.conflicts) {
			taken = append(taken, e.index)
		}
	}
	slices.Sort(taken)
	for _, index := range taken {
		k.put(abi.Entry{Op: abi.OpSetBit, Column: abi.Port.Column(index)})
	}
}

func (n *need) entry() abi.Entry {
	e := abi.Entry{
		Op: n.op, Column: abi.Count.Column(n.term.index), Key: abi.Domain.Column(n.key.index),
		B: int64(n.key.count()) << 32,
	}
	if n.mask != nil {
		e.Mask = abi.Mask.Column(n.mask.index)
	}
	self := int64(0)
	if n.self {
		self = 1
	}
	switch n.op {
	case abi.OpSpread, abi.OpSpreadSoft:
		e.A, e.B = n.maxSkew|n.minDomains<<32, e.B|self
		if n.op == abi.OpSpreadSoft {
			e.A = n.maxSkew
		}
		if n.byDefault {
			e.A |= 1 << 32
		}
	case abi.OpAffinity:
		e.A = self
	case abi.OpPrefer:
		e.A = n.weight
	}
	return e
}

// compileTerms adds the terms of other pods that the class must heed, and the
// counts that placing one of it changes.
func (c *cluster) compileTerms(cl *class, k *compiled) {
	terms := make([]*term, 0, len(c.terms))
	for _, t := range c.terms {
		terms = append(terms, t)
	}
	slices.SortFunc(terms, func(a, b *term) int { return cmp.Compare(a.index, b.index) })
	for _, t := range terms {
		if t.owned && c.selects(t.selectors[0], cl.sample) {
			e := abi.Entry{
				Op: abi.OpPrefer, Column: abi.Count.Column(t.index), Key: abi.Domain.Column(t.key.index),
				A: 1, B: int64(t.key.count()) << 32,
			}
			if t.hard {
				e.Op = abi.OpAntiAffinity
				k.existing = append(k.existing, t)
			}
			k.put(e)
		}
		if n := c.amount(cl, t); n != 0 {
			k.adds = append(k.adds, add{t, n})
			k.put(abi.Entry{Op: abi.OpAdd, Column: abi.Count.Column(t.index), A: int64(n)})
		}
	}
}
