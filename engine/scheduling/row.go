package scheduling

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/wasm/abi"
)

// writeRow writes every column of a node's row from what is known of it.
func (c *cluster) writeRow(n *nodeInfo) {
	flags := uint8(abi.RowPresent)
	if n.node.Spec.Unschedulable {
		flags |= abi.RowUnschedulable
	}
	c.snap.U8(abi.Flags.Column(0))[n.row] = flags
	c.writeResources(n)
	c.writeTaints(n)
	for _, k := range c.keys {
		c.writeDomain(k, n)
	}
	for _, m := range c.masks {
		c.writeMask(m, n)
	}
	c.writePorts(n)
	for _, t := range c.terms {
		c.writeTerm(t, n)
	}
	c.images.set(n.node)
	c.dirtySums()
	c.snap.Touch(n.row)
}

func (c *cluster) writeResources(n *nodeInfo) {
	for name, slot := range c.slots {
		q, known := n.node.Status.Allocatable[name]
		if !known {
			q = n.node.Status.Capacity[name]
		}
		alloc := max(quantity(name, q), 0)
		used := int64(0)
		if slot < len(n.requested) {
			used = n.requested[slot]
		}
		for len(n.allocatable) <= slot {
			n.allocatable = append(n.allocatable, 0)
		}
		n.allocatable[slot] = alloc
		c.snap.I64(abi.Alloc.Column(slot))[n.row] = alloc
		c.snap.I64(abi.Free.Column(slot))[n.row] = alloc - used
		switch slot {
		case abi.SlotCPU:
			c.snap.I64(abi.ScoreFree.Column(slot))[n.row] = alloc - n.scoreCPU
		case abi.SlotMemory:
			c.snap.I64(abi.ScoreFree.Column(slot))[n.row] = alloc - n.scoreM
		}
	}
	c.snap.Touch(n.row)
}

// clearRow zeroes a row that no longer holds a node.
func (c *cluster) clearRow(row int) {
	c.snap.U8(abi.Flags.Column(0))[row] = 0
	for _, slot := range c.slots {
		c.snap.I64(abi.Alloc.Column(slot))[row] = 0
		c.snap.I64(abi.Free.Column(slot))[row] = 0
	}
	for slot := range 2 {
		c.snap.I64(abi.ScoreFree.Column(slot))[row] = 0
	}
	for w := range c.taints.words {
		c.snap.U64(abi.Taint.Column(w))[row] = 0
		c.snap.U64(abi.SoftTaint.Column(w))[row] = 0
	}
	for _, k := range c.keys {
		c.snap.U32(abi.Domain.Column(k.index))[row] = 0
	}
	for _, m := range c.masks {
		setBit(c.snap.Bits(abi.Mask.Column(m.index)), row, false)
	}
	for _, p := range c.ports.entries {
		setBit(c.snap.Bits(abi.Port.Column(p.index)), row, false)
	}
	for _, t := range c.terms {
		c.snap.I32(abi.Count.Column(t.index))[row] = 0
	}
	c.snap.Touch(row)
}

func setBit(words []uint64, row int, on bool) {
	if on {
		words[row>>6] |= 1 << (row & 63)
	} else {
		words[row>>6] &^= 1 << (row & 63)
	}
}

// taintTable numbers the distinct taints of the cluster, one bit each. Numbers are
// never reused: clusters have few distinct taints.
type taintTable struct {
	bits  map[corev1.Taint]int
	list  []corev1.Taint
	words int
}

func (c *cluster) ensureTaintWords(n int) {
	for ; c.taints.words < n; c.taints.words++ {
		c.snap.Ensure(abi.Taint.Column(c.taints.words), abi.U64)
		c.snap.Ensure(abi.SoftTaint.Column(c.taints.words), abi.U64)
	}
}

// taintBit returns the number of a taint.
func (c *cluster) taintBit(t corev1.Taint) int {
	t.TimeAdded = nil
	bit, ok := c.taints.bits[t]
	if !ok {
		bit = len(c.taints.list)
		if c.taints.bits == nil {
			c.taints.bits = map[corev1.Taint]int{}
		}
		c.taints.bits[t] = bit
		c.taints.list = append(c.taints.list, t)
		c.ensureTaintWords(bit/64 + 1)
		c.version++
	}
	return bit
}

func (c *cluster) writeTaints(n *nodeInfo) {
	bits := make([]int, len(n.node.Spec.Taints))
	for i, t := range n.node.Spec.Taints {
		bits[i] = c.taintBit(t)
	}
	for w := range c.taints.words {
		c.snap.U64(abi.Taint.Column(w))[n.row] = 0
		c.snap.U64(abi.SoftTaint.Column(w))[n.row] = 0
	}
	for i, t := range n.node.Spec.Taints {
		kind := abi.Taint
		if t.Effect == corev1.TaintEffectPreferNoSchedule {
			kind = abi.SoftTaint
		}
		c.snap.U64(kind.Column(bits[i] / 64))[n.row] |= 1 << (bits[i] % 64)
	}
}

// portTable numbers the host ports that classes ask for.
type portTable struct {
	entries map[hostPort]*portEntry
	ids     indexes
}

type portEntry struct{ index, users int }

// addPort registers a host port for a class.
func (c *cluster) addPort(p hostPort) {
	e, ok := c.ports.entries[p]
	if !ok {
		if c.ports.entries == nil {
			c.ports.entries = map[hostPort]*portEntry{}
		}
		e = &portEntry{index: c.ports.ids.take()}
		c.ports.entries[p] = e
		c.snap.Ensure(abi.Port.Column(e.index), abi.Bits)
		for _, n := range c.rows {
			if n != nil {
				c.writePorts(n)
			}
		}
		c.snap.TouchColumn(abi.Port.Column(e.index))
		c.version++
	}
	e.users++
}

func (c *cluster) dropPort(p hostPort) {
	e := c.ports.entries[p]
	if e.users--; e.users == 0 {
		delete(c.ports.entries, p)
		clear(c.snap.Bits(abi.Port.Column(e.index)))
		c.snap.TouchColumn(abi.Port.Column(e.index))
		c.ports.ids.give(e.index)
		c.version++
	}
}

func (c *cluster) writePorts(n *nodeInfo) {
	for want, e := range c.ports.entries {
		taken := false
		for have := range n.ports {
			taken = taken || have.conflicts(want)
		}
		setBit(c.snap.Bits(abi.Port.Column(e.index)), n.row, taken)
	}
}

// indexes hands out small numbers, the freed ones first.
type indexes struct {
	free []int
	next int
}

func (i *indexes) take() int {
	if last := len(i.free) - 1; last >= 0 {
		n := i.free[last]
		i.free = i.free[:last]
		return n
	}
	i.next++
	return i.next - 1
}

func (i *indexes) give(n int) { i.free = append(i.free, n) }
