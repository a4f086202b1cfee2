// Package binpacking is the stock strategy that fills nodes before it takes others:
// the default strategy, with all its filters, that prefers the node with the least
// room left, so that as few nodes as possible are in use. It owns the choice of that
// score alone; what the default strategy does, it does.
package binpacking

import "github.com/pintle-io/pintle/wasm/strategies/scheduling"

// New returns the strategy. It is used by one goroutine.
func New() *scheduling.Strategy { return &scheduling.Strategy{Packing: true} }
