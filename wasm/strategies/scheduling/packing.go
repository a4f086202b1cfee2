package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// packScale is the score of a node that would be full: so much that the share in use
// outweighs all else, and that a tenth of a CPU on a node of 64 counts for more than
// the default spreading of replicas (200). A rank has 19 bits for all scores together.
const packScale = 500_000

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

// packed is most-allocated, for what would be left after placing: 0 to packScale.
func packed(allocC, allocM, leftC, leftM int64) int32 {
	both := shared(allocC, allocM)
	left := unused(leftC, allocC) + unused(leftM, allocM)
	return (packScale<<both - left) >> both
}

// unused is the share of a resource that is left, 0 to packScale.
func unused(left, alloc int64) int32 {
	return int32(float64(float64(positive(left))*packScale) / float64(some(alloc)))
}
