package scheduling

import (
	"math"
	"math/bits"

	"github.com/pintle-io/pintle/wasm/abi"
)

// scoreFixed works out the scores that placing pods of the class does not change:
// taints, node affinity, image locality, normalised over the rows that pass the
// filters when the class begins. They are base plus, if there is more than that,
// s.fixed.
func (s *Strategy) scoreFixed() {
	var taints, masks, images bool
	for i := range s.class.Entries {
		switch s.class.Entries[i].Op {
		case abi.OpSoftTaint:
			taints = true
		case abi.OpPreferMask:
			masks = true
		case abi.OpImage:
			images = true
		}
	}
	s.base, s.varies = 0, taints || masks || images || s.Prefer != nil
	if !taints {
		s.base = weightTaint * maxScore
	}
	if !s.varies {
		return
	}
	clear(s.fixed[:s.rows])
	fail := s.fail
	if len(s.domains) > 0 && (taints || masks) {
		s.filterDomains()
		fail = s.dfail
	}
	if taints {
		s.scoreTaints(fail)
	}
	if masks {
		s.scoreMasks(fail)
	}
	if images {
		s.scoreImages()
	}
	if s.Prefer != nil {
		s.scorePreference()
	}
}

// scorePreference adds what the author of the strategy prefers.
func (s *Strategy) scorePreference() {
	prefer := s.Prefer(s.view, s.class)
	for r, f := range s.fail[:s.rows] {
		if f == 0 {
			s.fixed[r] += int32(min(max(prefer(r), 0), MostPreference))
		}
	}
}

func (s *Strategy) scoreImages() {
	for i := range s.class.Entries {
		if e := &s.class.Entries[i]; e.Op == abi.OpImage {
			for r, v := range s.view.U8(e.Column) {
				s.fixed[r] += int32(v)
			}
		}
	}
}

func (s *Strategy) scoreTaints(fail []uint16) {
	soft := s.soft[:s.rows]
	clear(soft)
	for i := range s.class.Entries {
		if e := &s.class.Entries[i]; e.Op == abi.OpSoftTaint {
			for r, t := range s.view.U64(e.Column) {
				soft[r] += int32(bits.OnesCount64(t & uint64(e.A)))
			}
		}
	}
	top := s.softMax(fail)
	for r, n := range soft {
		s.fixed[r] += weightTaint * (maxScore - scaled(n, top))
	}
}

func (s *Strategy) scoreMasks(fail []uint16) {
	soft := s.soft[:s.rows]
	clear(soft)
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		if e.Op != abi.OpPreferMask {
			continue
		}
		if words := s.view.Bits(e.Column); words != nil {
			for r := range soft {
				soft[r] += int32(words[r>>6]>>(uint(r)&63)&1) * int32(e.A)
			}
		}
	}
	top := s.softMax(fail)
	for r, n := range soft {
		s.fixed[r] += weightAffinity * scaled(n, top)
	}
}

// softMax is the highest s.soft among rows that nothing refuses.
func (s *Strategy) softMax(fail []uint16) int32 {
	top := int32(0)
	for r, n := range s.soft[:s.rows] {
		if fail[r] == 0 && n > top {
			top = n
		}
	}
	return top
}

func scaled(n, top int32) int32 {
	if top <= 0 {
		return 0
	}
	return maxScore * min(n, top) / top
}

// scoreRows fills s.score: the resource scores plus base and s.fixed. Rows that
// are refused get a score too, which nobody reads: a branch would cost more.
func (s *Strategy) scoreRows() {
	allocC, allocM := s.view.I64(abi.Alloc.Column(abi.SlotCPU)), s.view.I64(abi.Alloc.Column(abi.SlotMemory))
	freeC, freeM := s.view.I64(abi.Free.Column(abi.SlotCPU)), s.view.I64(abi.Free.Column(abi.SlotMemory))
	scoreC, scoreM := s.view.I64(abi.ScoreFree.Column(abi.SlotCPU)), s.view.I64(abi.ScoreFree.Column(abi.SlotMemory))
	n, score := len(allocC), s.score[:s.rows]
	s.scored = n > 0 && len(allocM) == n && len(freeC) == n && len(freeM) == n && len(scoreC) == n && len(scoreM) == n
	askC, askM := s.requests()
	asks := asking(askC, askM)
	wantC, wantM, base := s.class.ScoreCPU, s.class.ScoreMemory, s.base
	if s.scored && s.Packing {
		s.packRows()
	} else if s.scored {
		allocM, freeC, freeM, scoreC, scoreM = allocM[:n], freeC[:n], freeM[:n], scoreC[:n], scoreM[:n]
		score = score[:n]
		for i := range allocC {
			ac, am := allocC[i], allocM[i]
			both := shared(ac, am)
			c, m := float64(some(ac)), float64(some(am))
			score[i] = base + least(scoreC[i]-wantC, scoreM[i]-wantM, c, m)>>both + asks*improvement(
				balance(ac-positive(freeC[i]-askC), am-positive(freeM[i]-askM), c, m, both),
				balance(ac-positive(freeC[i]), am-positive(freeM[i]), c, m, both))
		}
	} else {
		for i := range score {
			score[i] = base
		}
	}
	if s.varies {
		for i, v := range s.fixed[:s.rows] {
			score[i] += v
		}
	}
}

// rescoreRow is scoreRows for one row.
func (s *Strategy) rescoreRow(row int) {
	s.score[row] = s.base
	if s.varies {
		s.score[row] += s.fixed[row]
	}
	if !s.scored {
		return
	}
	at := func(k abi.Kind, slot int) int64 { return s.view.I64(k.Column(slot))[row] }
	if s.Packing {
		s.score[row] += packed(at(abi.Alloc, abi.SlotCPU), at(abi.Alloc, abi.SlotMemory),
			at(abi.ScoreFree, abi.SlotCPU)-s.class.ScoreCPU, at(abi.ScoreFree, abi.SlotMemory)-s.class.ScoreMemory)
		return
	}
	askC, askM := s.requests()
	s.score[row] += resourceScore(
		at(abi.Alloc, abi.SlotCPU), at(abi.Alloc, abi.SlotMemory),
		at(abi.ScoreFree, abi.SlotCPU)-s.class.ScoreCPU, at(abi.ScoreFree, abi.SlotMemory)-s.class.ScoreMemory,
		at(abi.Free, abi.SlotCPU), at(abi.Free, abi.SlotMemory), askC, askM)
}

func (s *Strategy) requests() (cpu, memory int64) {
	for i := range s.class.Entries {
		if e := &s.class.Entries[i]; e.Op == abi.OpRequest {
			switch e.Column.Index() {
			case abi.SlotCPU:
				cpu = e.A
			case abi.SlotMemory:
				memory = e.A
			}
		}
	}
	return cpu, memory
}

// resourceScore is least-allocated, for what would be left after placing, plus, if
// the pod asks for any, how placing improves the balance; each 0 to 100. Its parts
// are apart because scoreRows needs them inlined: a call in each turn of a loop
// would double its cost in Wasm.
func resourceScore(allocC, allocM, scoreC, scoreM, freeC, freeM, askC, askM int64) int32 {
	both := shared(allocC, allocM)
	c, m := float64(some(allocC)), float64(some(allocM))
	return least(scoreC, scoreM, c, m)>>both + asking(askC, askM)*improvement(
		balance(allocC-positive(freeC-askC), allocM-positive(freeM-askM), c, m, both),
		balance(allocC-positive(freeC), allocM-positive(freeM), c, m, both))
}

// least is the sum of the shares that are left. Amounts are below 2^46, so the
// quotients truncate exactly as integer division does.
func least(scoreC, scoreM int64, c, m float64) int32 {
	return int32(float64(positive(scoreC)*maxScore)/c) + int32(float64(positive(scoreM)*maxScore)/m)
}

// balance falls with the difference between the shares in use; a node that lacks
// one of the two is in balance.
func balance(usedC, usedM int64, c, m float64, both int32) int32 {
	skew := math.Abs(float64(float64(usedC)/c)-float64(float64(usedM)/m)) * float64(both)
	return int32(float64(float64(1-float64(skew*0.5)) * maxScore))
}

// improvement is 75 if the balance stays, up to 100 if it gets better.
func improvement(with, without int32) int32 { return maxScore/2 + (maxScore/2+with-without)>>1 }

// asking is 0 for a pod that asks for neither CPU nor memory.
func asking(cpu, memory int64) int32 {
	if cpu|memory == 0 {
		return 0
	}
	return 1
}

// shared is 1 if the node has both CPU and memory, 0 if it lacks one.
func shared(c, m int64) int32 { return int32(uint64(-c) >> 63 & (uint64(-m) >> 63)) }

// some is x, or 1 if x is 0: a resource that a node has none of counts as one
// unit of it, so that nothing is divided by zero.
func some(x int64) int64 { return x | int64(uint64(x-1)>>63) }

// positive is x, or 0 if x is below.
func positive(x int64) int64 { return x &^ (x >> 63) }
