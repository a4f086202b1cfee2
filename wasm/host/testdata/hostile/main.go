//go:build wasip1

// Command hostile is a strategy that misbehaves in the way the batch's seed asks
// for; with seed 0 it puts every pod on row 0.
package main

import (
	"encoding/binary"
	"os"
	"unsafe"

	"github.com/pintle-io/pintle/wasm/sdk"
)

var (
	sink  int
	bombs [][]byte
)

//go:wasmexport sched_attach
func attach(uint32) int32 { return 0 }

//go:wasmexport sched_place
func place(pods, n, out uint32) int32 {
	results := sdk.Bytes(out, n*32)
	clear(results)
	switch binary.LittleEndian.Uint64(sdk.Bytes(pods, 32)[16:]) {
	case 1: // endless loop
		for {
			sink++
		}
	case 2: // exponential calls
		sink = calls(90)
	case 3: // deep recursion
		sink = deep(1 << 30)
	case 4: // memory bomb
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			bombs = append(bombs, b)
		}
	case 5: // bulk fill
		b := make([]byte, 16<<20)
		for {
			clear(b)
			sink += int(b[sink%len(b)])
		}
	case 6: // log flood
		text := string(make([]byte, 1<<20))
		for {
			sdk.Log(sdk.Error, text)
		}
	case 7:
		panic("hostile")
	case 8:
		os.Exit(3)
	case 9: // garbage output
		for i := range results {
			results[i] = byte(i*37 + 11)
		}
	case 10: // wild pointer
		*(*int32)(unsafe.Pointer(uintptr(0xfffffff0))) = 1
	case 11:
		return -7
	case 12: // goroutine that never ends, and waiting for it
		done := make(chan int)
		go func() {
			for {
				sink++
			}
		}()
		<-done
	}
	return 0
}

//go:noinline
func calls(n int) int {
	if n < 2 {
		return n
	}
	return calls(n-1) + calls(n-2)
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}

func main() {}
