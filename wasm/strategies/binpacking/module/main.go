//go:build wasip1

// Command module is the Wasm form of the bin-packing strategy.
package main

import (
	sdk "github.com/pintle-io/pintle/wasm/sdk/scheduling"
	"github.com/pintle-io/pintle/wasm/strategies/binpacking"
)

func init() { sdk.OnPlace(binpacking.New()) }

func main() {}
