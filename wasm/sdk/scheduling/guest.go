//go:build wasip1

package scheduling

import (
	"encoding/binary"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/sdk"
)

//go:wasmexport sched_attach
func schedAttach(header uint32) int32 {
	size := binary.LittleEndian.Uint32(sdk.Bytes(header, 32)[28:])
	return strategy.attach(sdk.Bytes(header, size))
}

//go:wasmexport sched_place
func schedPlace(pods, n, out uint32) int32 {
	size := binary.LittleEndian.Uint32(sdk.Bytes(pods, 32)[24:])
	return strategy.place(sdk.Bytes(pods, size), sdk.Bytes(out, n*abi.ResultSize), int(n))
}
