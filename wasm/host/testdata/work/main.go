//go:build wasip1

// Command work is strategy code under a benchmark's control: the default
// strategy's own place over columns of its own.
package main

import (
	"github.com/pintle-io/pintle/wasm/abi"
	_ "github.com/pintle-io/pintle/wasm/sdk"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

var strategy scheduling.Strategy

// work places one pod on a cluster of the given size, without changing it.
//
//go:wasmexport work
func work(rows int32) int32 {
	if view == nil || view.Rows != int(rows) {
		prepare(int(rows))
	}
	strategy.Place(&batch, out[:])
	return out[0].Node
}

var (
	view  *abi.View
	out   [1]abi.Result
	batch = abi.Batch{Classes: []abi.Class{{
		ClassHeader: abi.ClassHeader{Count: 1, Node: abi.NoNode},
		Entries: []abi.Entry{
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotCPU)},
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotMemory)},
			{Op: abi.OpTaint, Column: abi.Taint.Column(0), A: 1},
		},
	}}}
)

func prepare(rows int) {
	s := abi.NewSnapshot(rows)
	s.Ensure(abi.Flags.Column(0), abi.U8)
	s.Ensure(abi.Taint.Column(0), abi.U64)
	for slot := range 2 {
		for _, k := range []abi.Kind{abi.Alloc, abi.Free, abi.ScoreFree} {
			s.Ensure(k.Column(slot), abi.I64)
		}
	}
	for row := range rows {
		s.U8(abi.Flags.Column(0))[row] = abi.RowPresent
		for slot := range 2 {
			for _, k := range []abi.Kind{abi.Alloc, abi.Free, abi.ScoreFree} {
				s.I64(k.Column(slot))[row] = int64(1000 + row)
			}
		}
	}
	image := abi.NewImage(len(s.Image()))
	var cursor abi.Cursor
	s.Sync(image, &cursor)
	v, err := abi.Attach(image)
	if err != nil {
		panic(err)
	}
	view = v
	strategy.Attach(v)
}

func main() {}
