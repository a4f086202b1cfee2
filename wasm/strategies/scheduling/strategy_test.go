package scheduling

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi"
)

// TestFastWaysAgreeWithTheGeneralOne places random classes by heap or by group,
// whichever place picks, and by rows, which is right for every class.
func TestFastWaysAgreeWithTheGeneralOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := drawn(t)
		batch := abi.Batch{Seed: rapid.Uint64().Draw(t, "seed"), Classes: []abi.Class{drawnClass(t)}}
		count := int(batch.Classes[0].Count)
		got, want := make([]abi.Result, count), make([]abi.Result, count)
		packing := rapid.Bool().Draw(t, "packing")
		fast, s := attach(t, snap), attach(t, snap)
		fast.Packing, s.Packing = packing, packing
		fast.Place(&batch, got)
		s.rows, s.shift, s.class = snap.Rows(), int(batch.Seed%uint64(snap.Rows())), &batch.Classes[0]
		s.filter()
		s.collectDomains()
		s.scoreFixed()
		s.scoreRows()
		s.placeByDomain(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("general - fast +\n%s", diff)
		}
	})
}

func attach(t *rapid.T, snap *abi.Snapshot) *Strategy {
	image := abi.NewImage(len(snap.Image()))
	var cursor abi.Cursor
	snap.Sync(image, &cursor)
	view, err := abi.Attach(image)
	if err != nil {
		t.Fatal(err)
	}
	s := &Strategy{}
	s.Attach(view)
	return s
}

func drawn(t *rapid.T) *abi.Snapshot {
	rows := rapid.IntRange(1, 30).Draw(t, "rows")
	s := abi.NewSnapshot(rows)
	s.Ensure(abi.Flags.Column(0), abi.U8)
	for slot := range 4 {
		s.Ensure(abi.Alloc.Column(slot), abi.I64)
		s.Ensure(abi.Free.Column(slot), abi.I64)
		s.Ensure(abi.ScoreFree.Column(slot), abi.I64)
	}
	for i := range 2 {
		s.Ensure(abi.Domain.Column(i), abi.U32)
		s.Ensure(abi.Count.Column(i), abi.I32)
	}
	for r := range rows {
		s.U8(abi.Flags.Column(0))[r] = abi.RowPresent
		for slot := range 4 {
			n := rapid.Int64Range(1, 5).Draw(t, "free")
			s.I64(abi.Alloc.Column(slot))[r], s.I64(abi.Free.Column(slot))[r], s.I64(abi.ScoreFree.Column(slot))[r] = 8, n, n
		}
		for i := range 2 {
			s.U32(abi.Domain.Column(i))[r] = rapid.Uint32Range(0, 4).Draw(t, "domain")
			s.I32(abi.Count.Column(i))[r] = rapid.Int32Range(0, 1).Draw(t, "count")
		}
	}
	return s
}

func drawnClass(t *rapid.T) abi.Class {
	c := abi.Class{
		ClassHeader: abi.ClassHeader{Count: rapid.Uint32Range(1, 20).Draw(t, "pods"), Node: abi.NoNode, ScoreCPU: 1, ScoreMemory: 1},
		Entries: []abi.Entry{
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotCPU), A: 1},
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotPods), A: 1},
		},
	}
	keys := rapid.IntRange(1, 2).Draw(t, "keys")
	for i := range 2 {
		self := rapid.Int64Range(0, 1).Draw(t, "self")
		column := abi.Count.Column(i)
		for _, op := range []abi.Op{abi.OpSpread, abi.OpSpreadSoft, abi.OpAffinity, abi.OpAntiAffinity, abi.OpPrefer} {
			if rapid.IntRange(0, 3).Draw(t, "entry") != 0 {
				continue
			}
			e := abi.Entry{Op: op, Column: column, Key: abi.Domain.Column(i % keys), A: 1, B: 5<<32 | self}
			switch op {
			case abi.OpSpread:
				e.A |= rapid.Int64Range(0, 5).Draw(t, "least") << 32
			case abi.OpAffinity:
				e.A, e.B = self, 5<<32
			case abi.OpPrefer:
				e.A = rapid.Int64Range(-5, 5).Draw(t, "weight")
			}
			c.Entries = append(c.Entries, e)
		}
		if self == 1 {
			c.Entries = append(c.Entries, abi.Entry{Op: abi.OpAdd, Column: column, A: 1})
		}
	}
	return c
}
