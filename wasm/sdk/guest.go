//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/pintle-io/pintle/wasm/abi"
)

// live keeps what the host allocated from being collected. The host frees nothing
// but asks again with a larger size, so there are few.
var live = map[uint32][]byte{}

//go:wasmexport strategy_abi_v1
func strategyABI() int32 { return abi.VersionMinor }

//go:wasmexport alloc
func alloc(size, align uint32) uint32 {
	if align == 0 || align&(align-1) != 0 {
		return 0
	}
	b := make([]byte, size+align)
	p := uint32(uintptr(unsafe.Pointer(&b[0])))
	p = (p + align - 1) &^ (align - 1)
	live[p] = b
	return p
}

//go:wasmexport release
func release(ptr uint32) { delete(live, ptr) }

// Bytes is the guest memory at ptr.
func Bytes(ptr, size uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(ptr))), size)
}

//go:wasmimport pintle/v1 log
func hostLog(level int32, ptr unsafe.Pointer, size uint32)

// Levels of Log.
const (
	Debug = iota
	Info
	Warn
	Error
)

// Log writes one line to the engine's log; the host drops what exceeds its limit.
func Log(level int, message string) {
	if message != "" {
		hostLog(int32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
	}
}
