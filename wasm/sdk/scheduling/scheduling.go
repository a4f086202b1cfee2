// Package scheduling makes a Go program a scheduling strategy at level L2: it answers
// batches of pods over columns that stay in its memory. It keeps the attached columns
// for the strategy and decides nothing. A guest has one thread, so nothing here is
// safe for concurrent use.
package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// Placer chooses nodes. Attach is called when the columns are in another place or of
// another size; Place with every batch, to fill one result per pod, and changes the
// columns as if the pods were bound.
type Placer interface {
	Attach(v *abi.View)
	Place(b *abi.Batch, out []abi.Result)
}

// guest is the placer and what it was attached to.
type guest struct {
	placer   Placer
	attached bool
	batch    abi.Batch
}

var strategy guest

// OnPlace makes p the strategy of this program.
func OnPlace(p Placer) { strategy.placer = p }

// Codes that the exports return.
const (
	ok = iota
	badSnapshot
	badBatch
	notAttached
)

func (g *guest) attach(image []byte) int32 {
	view, err := abi.Attach(image)
	if err != nil {
		return badSnapshot
	}
	g.placer.Attach(view)
	g.attached = true
	return ok
}

func (g *guest) place(batch, out []byte, n int) int32 {
	if !g.attached {
		return notAttached
	}
	if err := g.batch.Decode(batch); err != nil || g.batch.Pods() != n {
		return badBatch
	}
	results := abi.Results(out, n)
	if results == nil {
		return badBatch
	}
	g.placer.Place(&g.batch, results)
	return ok
}
