package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// weightPacking lets the room left outweigh the rest: replicas of one workload, which
// are spread over nodes by default, are to be packed, too.
const weightPacking = 10

// packRows is scoreRows with the share in use instead of the share that is left.
func (s *Strategy) packRows() {
	allocC, allocM := s.view.I64(abi.Alloc.Column(abi.SlotCPU)), s.view.I64(abi.Alloc.Column(abi.SlotMemory))
	scoreC, scoreM := s.view.I64(abi.ScoreFree.Column(abi.SlotCPU)), s.view.I64(abi.ScoreFree.Column(abi.SlotMemory))
	wantC, wantM, base := s.class.ScoreCPU, s.class.ScoreMemory, s.base
	score := s.score[:len(allocC)]
	allocM, scoreC, scoreM = allocM[:len(allocC)], scoreC[:len(allocC)], scoreM[:len(allocC)]
	for i := range allocC {
		score[i] = base + packed(allocC[i], allocM[i], scoreC[i]-wantC, scoreM[i]-wantM)
	}
}

// packed is most-allocated, for what would be left after placing: 0 to 1000.
func packed(allocC, allocM, leftC, leftM int64) int32 {
	both := shared(allocC, allocM)
	left := least(leftC, leftM, float64(some(allocC)), float64(some(allocM)))
	return weightPacking * ((maxScore<<both - left) >> both)
}
