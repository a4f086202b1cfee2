package abi

import "iter"

// A guest's call holds up the collector of its host, so a batch is cut into calls
// of about a millisecond. Work is counted in row visits of one tight loop: about
// 12 loops for a class and one more per entry, and per pod a few hundred steps of
// a heap or, where nodes are coupled, some loops per entry that couples them. The cut is part of the contract: a strategy may normalise scores once a
// class and call, so native and Wasm agree only when they are cut alike.
const (
	scanLoops   = 12
	podSteps    = 400
	coupledLoop = 10
	partWork    = 400_000 // of one call, unless one pod needs more
)

// Part is what one call gets of a batch.
type Part struct {
	Batch Batch
	Work  int64
}

// Parts cuts the batch, splitting classes if need be.
func (b *Batch) Parts(rows int) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		p := Part{Batch: Batch{Seed: b.Seed}}
		for i := range b.Classes {
			c := &b.Classes[i]
			scan, perPod := c.work(int64(rows))
			for left := int64(c.Count); left > 0; {
				if p.Work > 0 && p.Work+scan+perPod > partWork {
					if !yield(p) {
						return
					}
					p = Part{Batch: Batch{Seed: b.Seed}}
				}
				n := min(left, max(1, (partWork-p.Work-scan)/perPod))
				piece := *c
				piece.Count = uint32(n)
				p.Batch.Classes = append(p.Batch.Classes, piece)
				p.Work += scan + n*perPod
				left -= n
			}
		}
		if p.Work > 0 {
			yield(p)
		}
	}
}

// work is what a class costs: once, and per pod. Anti-affinity and affinity can
// only close rows, which a heap takes in its stride; constraints over one key
// cost by its domains; any others by rows.
func (c *Class) work(rows int64) (scan, perPod int64) {
	coupled, domains, scored, oneKey := int64(0), int64(0), false, true
	var key ID
	for i := range c.Entries {
		e := &c.Entries[i]
		switch e.Op {
		case OpSpread, OpSpreadSoft, OpPrefer:
			scored = true
		case OpAffinity, OpAntiAffinity:
		default:
			continue
		}
		oneKey = oneKey && (coupled == 0 || e.Key == key)
		key, domains = e.Key, int64(e.Domains())
		coupled++
	}
	scan, perPod = rows*(scanLoops+int64(len(c.Entries))+2*coupled), podSteps
	switch {
	case !scored:
		perPod += coupled * podSteps
	case oneKey:
		perPod += coupled * coupledLoop * min(domains, rows)
	default:
		perPod += coupled * coupledLoop * rows
	}
	return scan, perPod
}
