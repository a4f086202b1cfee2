package sched

import (
	"testing"

	"github.com/pintle-io/pintle/wasm/abi"
)

// place places one pod of a core on nodes of 8 cores that have this much free.
func place(t *testing.T, score func(p *Pod, n Node) int64, free ...int64) int32 {
	t.Helper()
	snap := abi.NewSnapshot(len(free))
	snap.Ensure(abi.Flags.Column(0), abi.U8)
	for _, kind := range []abi.Kind{abi.Alloc, abi.Free, abi.ScoreFree} {
		for slot := range abi.SlotExtended {
			snap.Ensure(kind.Column(slot), abi.I64)
		}
	}
	for row, cpu := range free {
		snap.U8(abi.Flags.Column(0))[row] = abi.RowPresent
		for _, kind := range []abi.Kind{abi.Alloc, abi.Free, abi.ScoreFree} {
			snap.I64(kind.Column(abi.SlotCPU))[row] = cpu
			snap.I64(kind.Column(abi.SlotMemory))[row] = 8 << 30
			snap.I64(kind.Column(abi.SlotPods))[row] = 100
		}
		snap.I64(abi.Alloc.Column(abi.SlotCPU))[row] = 8000
		snap.Touch(row)
	}
	image := abi.NewImage(len(snap.Image()))
	snap.Sync(image, &abi.Cursor{})
	view, err := abi.Attach(image)
	if err != nil {
		t.Fatal(err)
	}
	strategy := Placer(score)
	strategy.Attach(view)
	out := make([]abi.Result, 1)
	strategy.Place(&abi.Batch{Classes: []abi.Class{{
		ClassHeader: abi.ClassHeader{Count: 1, Node: abi.NoNode, ScoreCPU: 1000, ScoreMemory: 1 << 30},
		Entries:     []abi.Entry{{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotCPU), A: 1000}},
	}}}, out)
	return out[0].Node
}

// What an author prefers counts more than what the default strategy does, among the
// nodes that the pod fits on, whatever the author answers.
func TestScoreDecidesAmongNodesThatFit(t *testing.T) {
	for name, tc := range map[string]struct {
		score func(p *Pod, n Node) int64
		want  int32
	}{
		"no preference: the emptiest":  {func(*Pod, Node) int64 { return 7 }, 3},
		"the fullest that has room":    {func(p *Pod, n Node) int64 { return 100 - 100*n.FreeCPU/n.CPU }, 1},
		"one that has no room, at any": {func(_ *Pod, n Node) int64 { return map[int64]int64{500: 1 << 62}[n.FreeCPU] }, 3},
		"too much counts as the most":  {func(_ *Pod, n Node) int64 { return map[int64]int64{4000: 1 << 62, 8000: 90}[n.FreeCPU] }, 2},
		"negative counts as none":      {func(_ *Pod, n Node) int64 { return map[int64]int64{8000: -1 << 62}[n.FreeCPU] }, 3},
		"the pod is there":             {func(p *Pod, n Node) int64 { return (n.FreeCPU / p.CPU) % 8 * 10 }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := place(t, tc.score, 500, 2000, 4000, 8000); got != tc.want {
				t.Errorf("node %d, want %d", got, tc.want)
			}
		})
	}
}
