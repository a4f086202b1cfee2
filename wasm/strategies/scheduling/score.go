package scheduling

import (
	"math/bits"

	"github.com/pintle-io/pintle/wasm/abi"
)

// scoreFixed fills s.fixed with the scores that placing pods of the class does
// not change: taints, node affinity, image locality. They are normalised over the
// rows that pass the filters when the class begins.
func (s *Strategy) scoreFixed() {
	fixed := s.fixed[:s.rows]
	clear(fixed)
	var taints, masks bool
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		switch e.Op {
		case abi.OpSoftTaint:
			taints = true
		case abi.OpPreferMask:
			masks = true
		case abi.OpImage:
			image := s.view.U8(e.Column)
			for r, v := range image {
				fixed[r] += int32(v)
			}
		}
	}
	if taints {
		s.scoreTaints()
	} else {
		for i := range fixed {
			fixed[i] += weightTaint * maxScore
		}
	}
	if masks {
		s.scoreMasks()
	}
}

func (s *Strategy) scoreTaints() {
	soft := s.soft[:s.rows]
	clear(soft)
	for i := range s.class.Entries {
		if e := &s.class.Entries[i]; e.Op == abi.OpSoftTaint {
			for r, t := range s.view.U64(e.Column) {
				soft[r] += int32(bits.OnesCount64(t & uint64(e.A)))
			}
		}
	}
	top := s.softMax()
	for r, n := range soft {
		s.fixed[r] += weightTaint * (maxScore - scaled(n, top))
	}
}

func (s *Strategy) scoreMasks() {
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
	top := s.softMax()
	for r, n := range soft {
		s.fixed[r] += weightAffinity * scaled(n, top)
	}
}

// softMax is the highest s.soft among rows that pass the filters.
func (s *Strategy) softMax() int32 {
	top := int32(0)
	for r, n := range s.soft[:s.rows] {
		if s.fail[r] == 0 && n > top {
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

// scoreRows fills s.score of the rows that pass the filters: s.fixed plus the
// resource scores.
func (s *Strategy) scoreRows() {
	allocC, allocM := s.view.I64(abi.Alloc.Column(abi.SlotCPU)), s.view.I64(abi.Alloc.Column(abi.SlotMemory))
	freeC, freeM := s.view.I64(abi.Free.Column(abi.SlotCPU)), s.view.I64(abi.Free.Column(abi.SlotMemory))
	scoreC, scoreM := s.view.I64(abi.ScoreFree.Column(abi.SlotCPU)), s.view.I64(abi.ScoreFree.Column(abi.SlotMemory))
	n := len(allocC)
	if len(allocM) < n || len(freeC) < n || len(freeM) < n || len(scoreC) < n || len(scoreM) < n {
		copy(s.score[:s.rows], s.fixed)
		return
	}
	fail, score, fixed := s.fail[:n], s.score[:n], s.fixed[:n]
	allocM, freeC, freeM, scoreC, scoreM = allocM[:n], freeC[:n], freeM[:n], scoreC[:n], scoreM[:n]
	askC, askM := s.requests()
	for i := range fail {
		if fail[i] == 0 {
			score[i] = fixed[i] + resourceScore(
				float64(allocC[i]), float64(allocM[i]),
				float64(scoreC[i]-s.class.ScoreCPU), float64(scoreM[i]-s.class.ScoreMemory),
				float64(freeC[i]-askC), float64(freeM[i]-askM))
		}
	}
}

// rescoreRow is scoreRows for one row.
func (s *Strategy) rescoreRow(row int) {
	at := func(k abi.Kind, slot int) float64 {
		if c := s.view.I64(k.Column(slot)); c != nil {
			return float64(c[row])
		}
		return 0
	}
	askC, askM := s.requests()
	s.score[row] = s.fixed[row] + resourceScore(
		at(abi.Alloc, abi.SlotCPU), at(abi.Alloc, abi.SlotMemory),
		at(abi.ScoreFree, abi.SlotCPU)-float64(s.class.ScoreCPU), at(abi.ScoreFree, abi.SlotMemory)-float64(s.class.ScoreMemory),
		at(abi.Free, abi.SlotCPU)-float64(askC), at(abi.Free, abi.SlotMemory)-float64(askM))
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

// resourceScore is least-allocated plus balanced-allocation, each 0 to 100, for
// what would be left after placing. All amounts are whole numbers below 2^46, so
// the quotients truncate exactly as integer division does.
func resourceScore(allocC, allocM, scoreC, scoreM, leftC, leftM float64) int32 {
	if allocC <= 0 || allocM <= 0 {
		return 0
	}
	least := int32(0)
	if scoreC > 0 {
		least = int32(float64(scoreC*maxScore) / allocC)
	}
	if scoreM > 0 {
		least += int32(float64(scoreM*maxScore) / allocM)
	}
	usedC, usedM := float64(allocC-leftC)/allocC, float64(allocM-leftM)/allocM
	if usedC > 1 {
		usedC = 1
	}
	if usedM > 1 {
		usedM = 1
	}
	skew := usedC - usedM
	if skew < 0 {
		skew = -skew
	}
	return least/2 + int32(float64(float64(1-float64(skew/2))*maxScore))
}
