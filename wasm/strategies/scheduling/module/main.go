//go:build wasip1

// Command module is the Wasm form of the default scheduling strategy: the exports
// of the L2 contract around package scheduling.
package main

import (
	"encoding/binary"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/sdk"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

var (
	strategy scheduling.Strategy
	attached bool
	batch    abi.Batch
)

// Codes that the exports return.
const (
	ok = iota
	badSnapshot
	badBatch
	notAttached
)

//go:wasmexport sched_attach
func attach(header uint32) int32 {
	size := binary.LittleEndian.Uint32(sdk.Bytes(header, 32)[28:])
	view, err := abi.Attach(sdk.Bytes(header, size))
	if err != nil {
		return badSnapshot
	}
	strategy.Attach(view)
	attached = true
	return ok
}

//go:wasmexport sched_place
func place(pods, n, out uint32) int32 {
	if !attached {
		return notAttached
	}
	size := binary.LittleEndian.Uint32(sdk.Bytes(pods, 32)[24:])
	if err := batch.Decode(sdk.Bytes(pods, size)); err != nil || batch.Pods() != int(n) {
		return badBatch
	}
	results := abi.Results(sdk.Bytes(out, n*abi.ResultSize), int(n))
	if results == nil {
		return badBatch
	}
	strategy.Place(&batch, results)
	return ok
}

func main() {}
