package host_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

// account changes the snapshot as the engine does once it has bound the pods.
func account(s *abi.Snapshot, b *abi.Batch, results []abi.Result) {
	at := 0
	for _, c := range b.Classes {
		for range c.Count {
			row := int(results[at].Node)
			at++
			if row < 0 {
				continue
			}
			s.I64(abi.ScoreFree.Column(abi.SlotCPU))[row] -= c.ScoreCPU
			s.I64(abi.ScoreFree.Column(abi.SlotMemory))[row] -= c.ScoreMemory
			for _, e := range c.Entries {
				switch e.Op {
				case abi.OpRequest:
					s.I64(e.Column)[row] -= e.A
				case abi.OpAdd:
					s.I32(e.Column)[row] += int32(e.A)
				case abi.OpSetBit:
					s.Bits(e.Column)[row>>6] |= 1 << (row & 63)
				}
			}
			s.Touch(row)
		}
	}
}

func TestWasmAnswersAsNative(t *testing.T) {
	wasm := newScheduler(t, "scheduling", guest(t, schedulingModule))
	native := &scheduling.Native{}
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		for range 3 {
			b := drawnBatch(t, s.Rows())
			want, err := native.Place(t.Context(), s, b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wasm.Place(t.Context(), s, b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Results, got.Results); diff != "" {
				t.Fatalf("native - wasm +\n%s", diff)
			}
			if rapid.Bool().Draw(t, "bound") {
				account(s, b, want.Results)
			}
			if rapid.IntRange(0, 4).Draw(t, "relayout") == 0 {
				s.Ensure(abi.Count.Column(7), abi.I32)
				s.Resize(s.Rows() + 3)
			}
		}
	})
}

func TestFuelIsTheSameInEveryRun(t *testing.T) {
	module := guest(t, schedulingModule)
	var used []uint64
	for range 2 {
		s := newScheduler(t, "scheduling", module)
		answer, err := s.Place(t.Context(), uniform(500), &abi.Batch{Classes: []abi.Class{plain(50), plain(1)}})
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, answer.Fuel)
	}
	if used[0] != used[1] || used[0] == 0 {
		t.Errorf("fuel %v, want twice the same", used)
	}
}
