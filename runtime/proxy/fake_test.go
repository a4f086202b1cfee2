package proxy

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"sigs.k8s.io/knftables"
)

// failingNft is the library's fake with a switch for failure; it tells of every
// run after it is done.
type failingNft struct {
	*knftables.Fake
	fail atomic.Bool
	runs chan struct{}
}

func (f *failingNft) Run(ctx context.Context, tx *knftables.Transaction) error {
	defer func() { f.runs <- struct{}{} }()
	if f.fail.Load() {
		return errors.New("no room")
	}
	return f.Fake.Run(ctx, tx)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
