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
	// Packing prefers the nodes with the least room left instead of those with the most.
	Packing bool
	// Prefer, if set, adds to the score of every row that passes the filters. It is
	// asked once for a class, before its first pod is placed, for what answers for
	// rows; the answers are kept within 0 and MostPreference.
	Prefer func(v *abi.View, c *abi.Class) func(row int) int64

	view  *abi.View
	batch *abi.Batch
	class *abi.Class
	rows  int
	shift int // tie-breaking rotation of rows

	fail   []uint16  // per row: bit of each reason that refuses it
	dfail  []uint16  // per row: the same for reasons that depend on domains
	score  []int32   // per row: all scores but those of domains
	base   int32     // what the fixed scores of all rows have in common
	varies bool      // fixed adds to base
	scored bool      // the resource columns are there
	fixed  []int32   // per row: scores that no placement of the class changes
	raw    []float64 // per row: one score before it is normalised
	soft   []int32   // per row: one integer score before it is normalised
	heap   []uint64
	noRoom []int64 // stands for a column that is missing

	domains []domain
	groups  groups
	alone   bool    // see affinityAlone
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

// MostPreference outweighs the resource, taint, affinity and image scores together.
const MostPreference = 10 * maxScore

// Attach makes v the columns that Place reads and changes.
func (s *Strategy) Attach(v *abi.View) {
	s.view = v
	if len(s.fail) < v.Capacity {
		n := v.Capacity
		s.fail, s.dfail = make([]uint16, n), make([]uint16, n)
		s.score, s.fixed, s.soft = make([]int32, n), make([]int32, n), make([]int32, n)
		s.raw, s.heap, s.noRoom = make([]float64, n), make([]uint64, 0, n), make([]int64, n)
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
	switch c := s.coupling(); {
	case c == entangled:
		s.placeByDomain(out)
	case c == grouped:
		s.placeByGroup(out)
	case c == uncoupled && len(out) == 1:
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

// A row is ranked by score, then by how many more pods it has room for, so that
// equals fill up evenly, then by its place in the rotation:
// score<<44 | room<<28 | turn. No two rows rank the same.
const (
	roomBits = 16
	turnBits = 28
	mostRoom = 1<<roomBits - 1
)

// best returns the highest ranked row among those that nothing refuses, -1 if
// every row is refused. score must not be negative.
func (s *Strategy) best(score []int32, fail []uint16) int {
	top := int64(-1)
	room := s.view.I64(abi.Free.Column(abi.SlotPods))
	if len(room) < s.rows {
		room = s.noRoom
	}
	top = bestOf(score[s.shift:s.rows], fail[s.shift:s.rows], room[s.shift:s.rows], int64(s.rows), top)
	top = bestOf(score[:s.shift], fail[:s.shift], room[:s.shift], int64(s.shift), top)
	if top < 0 {
		return -1
	}
	return s.row(uint64(top))
}

// bestOf is the highest rank of a stretch of rows, the first of which has this
// turn, or top if that is higher. It has no branches in the loop: in Go's Wasm
// each taken branch is an indirect jump.
func bestOf(score []int32, fail []uint16, room []int64, turn, top int64) int64 {
	fail, room = fail[:len(score)], room[:len(score)]
	n, i := len(score), 0
	for ; i+2 <= n; i += 2 {
		v, f, r := (*[2]int32)(score[i:]), (*[2]uint16)(fail[i:]), (*[2]int64)(room[i:])
		ahead := rankOf(v[0], f[0], r[0], turn-int64(i)) - top
		top += ahead &^ (ahead >> 63)
		ahead = rankOf(v[1], f[1], r[1], turn-int64(i)-1) - top
		top += ahead &^ (ahead >> 63)
	}
	if i < n {
		top = max(top, rankOf(score[i], fail[i], room[i], turn-int64(i)))
	}
	return top
}

// rankOf is the rank of a row, -1 if something refuses it.
func rankOf(score int32, fail uint16, room, turn int64) int64 {
	room = positive(room)
	over := mostRoom - room
	room += over & (over >> 63)
	return int64(score)<<(roomBits+turnBits) | room<<turnBits | turn | -int64(fail)>>63
}

// rank is the rank of a row that nothing refuses.
func (s *Strategy) rank(row int) uint64 {
	room := int64(0)
	if c := s.view.I64(abi.Free.Column(abi.SlotPods)); c != nil {
		room = c[row]
	}
	turn := s.shift - row
	if turn <= 0 {
		turn += s.rows
	}
	return uint64(rankOf(s.score[row], 0, room, int64(turn)))
}

// row is the row of a rank.
func (s *Strategy) row(rank uint64) int {
	row := s.shift - int(rank&(1<<turnBits-1))
	if row < 0 {
		row += s.rows
	}
	return row
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
