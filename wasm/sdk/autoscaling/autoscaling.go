// Package autoscaling is for autoscaling strategies written in Go: it hands typed
// requests to the author's function, and offers what the built-in strategy does
// for an author who wants to change a part of it.
package autoscaling

import (
	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/sdk/call"
)

// OnDecide sets the function that answers how many replicas there shall be.
func OnDecide(f func(*scaling.Request) (scaling.Answer, error)) {
	call.HandleJSON(scaling.OpDecide, f)
}
