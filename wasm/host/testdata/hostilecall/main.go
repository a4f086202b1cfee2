//go:build wasip1

// Command hostilecall misbehaves at level L0 as the operation tells it.
package main

import (
	"errors"
	"os"
	"strings"

	"github.com/pintle-io/pintle/wasm/sdk"
	"github.com/pintle-io/pintle/wasm/sdk/call"
)

var kept [][]byte

func recurse(n int) int { return recurse(n+1) + n }

func init() {
	call.Handle(0, func(in []byte) ([]byte, error) { return in, nil })
	call.Handle(1, func([]byte) ([]byte, error) {
		for {
		}
	})
	call.Handle(2, func([]byte) ([]byte, error) { recurse(0); return nil, nil })
	call.Handle(3, func([]byte) ([]byte, error) {
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	})
	call.Handle(4, func([]byte) ([]byte, error) { panic("now") })
	call.Handle(5, func([]byte) ([]byte, error) { os.Exit(3); return nil, nil })
	call.Handle(6, func([]byte) ([]byte, error) { return make([]byte, 2<<20), nil })
	call.Handle(7, func([]byte) ([]byte, error) { return nil, errors.New("no \xff") })
	call.Handle(8, func([]byte) ([]byte, error) {
		for {
			sdk.Log(sdk.Info, strings.Repeat("x", 1000))
		}
	})
}

func main() {}
