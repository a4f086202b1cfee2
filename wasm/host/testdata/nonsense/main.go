//go:build wasip1

// Command nonsense is a strategy that names nodes which do not exist.
package main

import "github.com/pintle-io/pintle/wasm/sdk"

//go:wasmexport sched_attach
func attach(uint32) int32 { return 0 }

//go:wasmexport sched_place
func place(_, n, out uint32) int32 {
	for i := range sdk.Bytes(out, n*32) {
		sdk.Bytes(out, n*32)[i] = byte(i*37 + 11)
	}
	return 0
}

func main() {}
