//go:build wasip1

// Command loop is a strategy that never answers.
package main

import _ "github.com/pintle-io/pintle/wasm/sdk"

var turns int

//go:wasmexport sched_attach
func attach(uint32) int32 { return 0 }

//go:wasmexport sched_place
func place(_, _, _ uint32) int32 {
	for {
		turns++
	}
}

func main() {}
