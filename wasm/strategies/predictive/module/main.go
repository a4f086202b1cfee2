//go:build wasip1

// Command module is the Wasm form of the predictive autoscaling strategy.
package main

import (
	sdk "github.com/pintle-io/pintle/wasm/sdk/autoscaling"
	"github.com/pintle-io/pintle/wasm/strategies/predictive"
)

func init() { sdk.OnDecide(predictive.Decide) }

func main() {}
