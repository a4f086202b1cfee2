package host

import (
	"iter"

	"github.com/pintle-io/pintle/wasm/abi"
)

// A call of a guest stops the world if the collector waits for it, so a batch is
// cut into calls of about a millisecond. Work is counted in row visits of one
// tight loop, measured on the default strategy: full scan about 12 loops, one
// more per entry, and per pod either a few hundred steps of a heap or, where
// nodes are coupled, some loops over the rows per entry that couples them.
const (
	scanLoops   = 12
	podSteps    = 400
	coupledLoop = 10
	partWork    = 400_000 // row visits in one call, unless one pod needs more

	// Fuel per unit of work, several times what the default strategy needs, and
	// what a call may use regardless: a Go guest may have to collect garbage.
	workFuel = 100
	baseFuel = 5_000_000
)

func placeFuel(work int64) int64 { return baseFuel + workFuel*work }

// part is what one call gets.
type part struct {
	batch abi.Batch
	work  int64
}

// parts cuts the batch into parts, splitting classes if need be.
func parts(b *abi.Batch, rows int) iter.Seq[part] {
	return func(yield func(part) bool) {
		p := part{batch: abi.Batch{Seed: b.Seed}}
		for _, c := range b.Classes {
			scan, perPod := cost(&c, int64(rows))
			for left := int64(c.Count); left > 0; {
				if p.work > 0 && p.work+scan+perPod > partWork {
					if !yield(p) {
						return
					}
					p = part{batch: abi.Batch{Seed: b.Seed}}
				}
				n := min(left, max(1, (partWork-p.work-scan)/perPod))
				piece := c
				piece.Count = uint32(n)
				p.batch.Classes = append(p.batch.Classes, piece)
				p.work += scan + n*perPod
				left -= n
			}
		}
		if p.work > 0 {
			yield(p)
		}
	}
}

// cost is the work of a class: once, and per pod.
func cost(c *abi.Class, rows int64) (scan, perPod int64) {
	coupled := int64(0)
	for i := range c.Entries {
		switch c.Entries[i].Op {
		case abi.OpSpread, abi.OpAffinity, abi.OpAntiAffinity, abi.OpSpreadSoft, abi.OpPrefer:
			coupled++
		}
	}
	return rows * (scanLoops + int64(len(c.Entries))), podSteps + coupled*coupledLoop*rows
}
