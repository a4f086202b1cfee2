//go:build wasip1

// Command module is the Wasm form of the built-in autoscaling strategy.
package main

import (
	sdk "github.com/pintle-io/pintle/wasm/sdk/autoscaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling"
)

func init() { sdk.OnDecide(autoscaling.Decide) }

func main() {}
