// Package scheduling is the default scheduling strategy: filters and scores of
// the default kube-scheduler, with its weights, over the columns of wasm/abi. The
// same source runs natively (test oracle and fallback, see Native) and as a Wasm
// module (see ./module). It decides, and changes only the copy of the columns it
// was attached to; it reads no clock and no randomness but the batch's seed, and
// its floating point is written so that native and Wasm agree to the last bit.
//
// Each filter or score is one tight loop over one or two columns: compiled to
// Wasm that is twice as fast as one fused loop over rows. A Strategy is used by
// one goroutine.
package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// Strategy holds the attached columns and scratch space, which is reused so that
// a call in a guest allocates nothing once it is warm.
type Strategy struct {
	view  *abi.View
	batch *abi.Batch
	class *abi.Class
	rows  int
	shift int // tie-breaking rotation of rows

	fail  []uint16  // per row: bit of each reason that refuses it
	dfail []uint16  // per row: the same for reasons that depend on domains
	score []int32   // per row: all scores but those of domains
	fixed []int32   // per row: scores that no placement of this batch changes
	raw   []float64 // per row: one score before it is normalised
	soft  []int32   // per row: one integer score before it is normalised
	heap  []uint64

	domains []domain
	arena   []int32 // domain sums of the current class
	table   []uint16
	values  []float64
}

// absent marks rows without a node; above all reason bits.
const absent = 1 << 15

// Weights of the default profile.
const (
	weightTaint    = 3
	weightAffinity = 2
	weightSpread   = 2
	weightPodAff   = 2
	maxScore       = 100
)

// Attach makes v the columns that Place reads and changes.
func (s *Strategy) Attach(v *abi.View) {
	s.view = v
	if len(s.fail) < v.Capacity {
		n := v.Capacity
		s.fail, s.dfail = make([]uint16, n), make([]uint16, n)
		s.score, s.fixed, s.soft = make([]int32, n), make([]int32, n), make([]int32, n)
		s.raw, s.heap = make([]float64, n), make([]uint64, 0, n)
	}
}

// Place answers the batch into out, which has one entry per pod. The columns
// change as if the pods were bound.
func (s *Strategy) Place(b *abi.Batch, out []abi.Result) {
	s.view.Refresh()
	s.batch, s.rows = b, s.view.Rows
	if s.rows > 0 {
		s.shift = int(b.Seed % uint64(s.rows))
	}
	for i := range b.Classes {
		c := &b.Classes[i]
		n := min(int(c.Count), len(out))
		s.place(c, out[:n])
		out = out[n:]
	}
}

func (s *Strategy) place(c *abi.Class, out []abi.Result) {
	s.class = c
	s.filter()
	s.collectDomains()
	s.scoreFixed()
	s.scoreRows()
	switch {
	case len(s.domains) > 0:
		s.placeByDomain(out)
	case len(out) == 1:
		s.placeOne(out)
	default:
		s.placeByHeap(out)
	}
}

func (s *Strategy) placeOne(out []abi.Result) {
	best := s.best(s.score, s.fail)
	if best < 0 {
		s.refuse(out)
		return
	}
	out[0] = abi.Result{Node: int32(best), Score: s.score[best]}
	s.apply(best)
}

// best returns the row with the highest score among those that nothing refuses;
// among equals the first from the rotation on. -1 if every row is refused.
func (s *Strategy) best(score []int32, fail []uint16) int {
	best, top := -1, int32(-1<<31)
	score, fail = score[:s.rows], fail[:s.rows]
	for i := s.shift; i < len(score); i++ {
		if fail[i] == 0 && score[i] > top {
			best, top = i, score[i]
		}
	}
	for i := 0; i < s.shift; i++ {
		if fail[i] == 0 && score[i] > top {
			best, top = i, score[i]
		}
	}
	return best
}

// apply changes the columns as binding one pod of the class to row would, and
// brings the row's verdict and score up to date.
func (s *Strategy) apply(row int) {
	if free := s.view.I64(abi.ScoreFree.Column(abi.SlotCPU)); free != nil {
		free[row] -= s.class.ScoreCPU
	}
	if free := s.view.I64(abi.ScoreFree.Column(abi.SlotMemory)); free != nil {
		free[row] -= s.class.ScoreMemory
	}
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		switch e.Op {
		case abi.OpRequest:
			if free := s.view.I64(e.Column); free != nil {
				free[row] -= e.A
			}
		case abi.OpAdd:
			if count := s.view.I32(e.Column); count != nil {
				count[row] += int32(e.A)
			}
		case abi.OpSetBit:
			if bits := s.view.Bits(e.Column); bits != nil {
				bits[row>>6] |= 1 << (row & 63)
			}
		}
	}
}

// refuse answers all of out with no node and the reasons.
func (s *Strategy) refuse(out []abi.Result) {
	r := abi.Result{Node: abi.NoNode}
	var counts [abi.Reasons]int
	for i := range s.rows {
		f := s.fail[i]
		if len(s.domains) > 0 {
			f |= s.dfail[i]
		}
		if f&absent == 0 {
			count(&counts, f)
		}
	}
	for i, c := range counts {
		r.Counts[i] = uint16(min(c, 1<<16-1))
	}
	for i := range out {
		out[i] = r
	}
}

const resourceBits = 1<<abi.ReasonPods | 1<<abi.ReasonCPU | 1<<abi.ReasonMemory | 1<<abi.ReasonResource

// count adds one row's first failed filter; resources count one by one.
func count(counts *[abi.Reasons]int, f uint16) {
	first := f & -f
	if first&resourceBits != 0 {
		first = f & resourceBits
	}
	for r := range abi.Reasons {
		if first&(1<<r) != 0 {
			counts[r]++
		}
	}
}
