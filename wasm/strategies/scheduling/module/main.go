//go:build wasip1

// Command module is the Wasm form of the default scheduling strategy.
package main

import (
	sdk "github.com/pintle-io/pintle/wasm/sdk/scheduling"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

func init() { sdk.OnPlace(&scheduling.Strategy{}) }

func main() {}
