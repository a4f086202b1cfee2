package scheduling

import (
	"testing"

	"github.com/pintle-io/pintle/wasm/abi"
)

// first places every pod on row 0.
type first struct{ rows int }

func (f *first) Attach(v *abi.View) { f.rows = v.Rows }

func (*first) Place(_ *abi.Batch, out []abi.Result) {
	for i := range out {
		out[i] = abi.Result{Node: 0, Score: 7}
	}
}

// TestExports: what the host may send wrong is answered by a code, and what is right
// reaches the strategy.
func TestExports(t *testing.T) {
	f := &first{}
	g := &guest{placer: f}
	snap := abi.NewSnapshot(3)
	image := abi.NewImage(len(snap.Image()))
	var cursor abi.Cursor
	snap.Sync(image, &cursor)
	batch := (&abi.Batch{Classes: []abi.Class{{ClassHeader: abi.ClassHeader{Count: 2}}}}).Append(nil)
	out := abi.NewImage(2 * abi.ResultSize)
	for i, step := range []struct {
		do   func() int32
		want int32
	}{
		{func() int32 { return g.place(batch, out, 2) }, notAttached},
		{func() int32 { return g.attach(image[:16]) }, badSnapshot},
		{func() int32 { return g.attach(image) }, ok},
		{func() int32 { return g.place(batch, out, 3) }, badBatch},
		{func() int32 { return g.place(batch[:8], out, 2) }, badBatch},
		{func() int32 { return g.place(batch, out, 2) }, ok},
	} {
		if got := step.do(); got != step.want {
			t.Fatalf("step %d: code %d, want %d", i, got, step.want)
		}
	}
	if results := abi.Results(out, 2); results[1].Score != 7 || f.rows != snap.Rows() {
		t.Errorf("results %+v over %d rows", results, f.rows)
	}
	OnPlace(f)
	if strategy.placer != f {
		t.Error("OnPlace did not take the strategy")
	}
}
