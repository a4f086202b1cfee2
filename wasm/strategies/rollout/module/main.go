//go:build wasip1

// Command module is the Wasm form of the built-in rollout strategy.
package main

import (
	sdk "github.com/pintle-io/pintle/wasm/sdk/rollout"
	"github.com/pintle-io/pintle/wasm/strategies/rollout"
)

func init() { sdk.OnStep(rollout.Step) }

func main() {}
