package abi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi"
)

var columns = []struct {
	id  abi.ID
	typ abi.Type
}{
	{abi.Free.Column(0), abi.I64},
	{abi.Taint.Column(0), abi.U64},
	{abi.Count.Column(3), abi.I32},
	{abi.Domain.Column(1), abi.U32},
	{abi.Flags.Column(0), abi.U8},
	{abi.Mask.Column(2), abi.Bits},
}

// TestCursorFollows changes a snapshot in every way and checks that a copy kept by
// a cursor always ends up equal to it.
func TestCursorFollows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := abi.NewSnapshot(rapid.IntRange(1, 100).Draw(t, "rows"))
		var cursor abi.Cursor
		var image []byte
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			c := columns[rapid.IntRange(0, len(columns)-1).Draw(t, "column")]
			row := rapid.IntRange(0, s.Rows()-1).Draw(t, "row")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				s.Ensure(c.id, c.typ)
			case 1:
				s.Drop(c.id)
			case 2:
				s.Resize(s.Rows() + rapid.IntRange(0, 100).Draw(t, "more"))
			case 3:
				if v := s.I64(abi.Free.Column(0)); v != nil {
					v[row]++
					s.Touch(row)
				}
				if v := s.Bits(abi.Mask.Column(2)); v != nil {
					v[row>>6] ^= 1 << (row & 63)
					s.Touch(row)
				}
			case 4:
				if v := s.I32(abi.Count.Column(3)); v != nil {
					for i := range v {
						v[i] += 7
					}
					s.TouchColumn(abi.Count.Column(3))
				}
			case 5:
				// The holder of the copy changes a row itself.
				if !cursor.Current(s) {
					break
				}
				if v, err := abi.Attach(image); err == nil && v.U8(abi.Flags.Column(0)) != nil && row < v.Rows {
					v.U8(abi.Flags.Column(0))[row]++
					cursor.Dirty(row)
				}
			}
			if rapid.Bool().Draw(t, "sync") {
				if !cursor.Current(s) {
					image = abi.NewImage(len(s.Image()))
				}
				s.Sync(image, &cursor)
				if diff := cmp.Diff(s.Image(), image); diff != "" {
					t.Fatalf("snapshot - copy +\n%s", diff)
				}
			}
		}
	})
}

func TestBatchRoundTrip(t *testing.T) {
	want := abi.Batch{Seed: 7, Classes: []abi.Class{
		{ClassHeader: abi.ClassHeader{Count: 3, Node: abi.NoNode, EntryCount: 1}, Entries: []abi.Entry{{Op: abi.OpRequest, A: -1, B: 1 << 40}}},
		{ClassHeader: abi.ClassHeader{Count: 1, Node: 4, ScoreCPU: 100}},
	}}
	var got abi.Batch
	if err := got.Decode(want.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPartsHoldEveryPod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := abi.Batch{}
		for range rapid.IntRange(0, 5).Draw(t, "classes") {
			b.Classes = append(b.Classes, abi.Class{
				ClassHeader: abi.ClassHeader{Count: rapid.Uint32Range(1, 5000).Draw(t, "count")},
				Entries:     make([]abi.Entry, rapid.IntRange(0, 3).Draw(t, "entries")),
			})
		}
		pods := 0
		for p := range b.Parts(rapid.IntRange(1, 100_000).Draw(t, "rows")) {
			if p.Batch.Pods() == 0 || p.Work <= 0 {
				t.Fatalf("a part without work: %+v", p)
			}
			pods += p.Batch.Pods()
		}
		if pods != b.Pods() {
			t.Errorf("%d pods in parts, %d in the batch", pods, b.Pods())
		}
	})
}

func FuzzAttach(f *testing.F) {
	s := abi.NewSnapshot(70)
	for _, c := range columns {
		s.Ensure(c.id, c.typ)
	}
	f.Add(s.Image())
	f.Fuzz(func(t *testing.T, b []byte) {
		image := abi.NewImage(len(b))
		copy(image, b)
		v, err := abi.Attach(image)
		if err != nil {
			return
		}
		total := 0
		for _, c := range columns {
			for _, x := range v.U8(c.id) {
				total += int(x)
			}
			for _, x := range v.I64(c.id) {
				total += int(x)
			}
			for _, x := range v.Bits(c.id) {
				total += int(x)
			}
		}
		_ = total
		v.Refresh()
	})
}

func FuzzDecode(f *testing.F) {
	b := abi.Batch{Classes: []abi.Class{{ClassHeader: abi.ClassHeader{Count: 1}, Entries: []abi.Entry{{Op: abi.OpAdd}}}}}
	f.Add(b.Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		aligned := abi.NewImage(len(raw))
		copy(aligned, raw)
		var got abi.Batch
		if err := got.Decode(aligned); err == nil {
			var again abi.Batch
			if err := again.Decode(got.Append(nil)); err != nil {
				t.Errorf("decoded once and not twice: %v", err)
			}
		}
	})
}
