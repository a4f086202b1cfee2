//go:build !wasip1

package scheduling

import (
	"context"

	"github.com/pintle-io/pintle/wasm/abi"
)

// Native runs the strategy in process, on its own copy of the columns. It is the
// oracle that the Wasm build is tested against, and what serves when no module
// does. Not safe for concurrent use.
type Native struct {
	// Packing is Strategy.Packing.
	Packing bool

	strategy Strategy
	cursor   abi.Cursor
	image    []byte
	results  []abi.Result
}

// Identity names the decider in decision records.
func (*Native) Identity() string { return "native" }

// Place answers the batch. The answer is valid until the next call.
func (n *Native) Place(_ context.Context, s *abi.Snapshot, b *abi.Batch) (abi.Answer, error) {
	if err := n.sync(s); err != nil {
		return abi.Answer{}, err
	}
	pods := b.Pods()
	if cap(n.results) < pods {
		n.results = make([]abi.Result, pods)
	}
	n.results = n.results[:pods]
	rest := n.results
	for part := range b.Parts(s.Rows()) {
		count := part.Batch.Pods()
		n.strategy.Place(&part.Batch, rest[:count])
		rest = rest[count:]
	}
	for _, r := range n.results {
		n.cursor.Dirty(int(r.Node))
	}
	return abi.Answer{Results: n.results}, nil
}

// sync brings the strategy's copy of the columns up to date.
func (n *Native) sync(s *abi.Snapshot) error {
	if n.cursor.Current(s) {
		s.Sync(n.image, &n.cursor)
		return nil
	}
	n.image = abi.NewImage(len(s.Image()))
	s.Sync(n.image, &n.cursor)
	view, err := abi.Attach(n.image)
	if err != nil {
		return err
	}
	n.strategy.Packing = n.Packing
	n.strategy.Attach(view)
	return nil
}
