//go:build wasip1

package call

import (
	"unsafe"

	"github.com/pintle-io/pintle/wasm/sdk"
)

// failed is the top bit of the length in a result: it is the text of an error.
const failed = 1 << 31

// last keeps the answer from being collected until the host has read it.
var last []byte

//go:wasmexport call
func call(op int32, ptr, size uint32) int64 {
	out, err := dispatch(op, sdk.Bytes(ptr, size))
	flag := uint64(0)
	if err != nil {
		out, flag = []byte(err.Error()), failed
	}
	if len(out) == 0 {
		return int64(flag)
	}
	last = out
	return int64(uint64(uintptr(unsafe.Pointer(&last[0])))<<32 | flag | uint64(len(last)))
}
