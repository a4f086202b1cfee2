// Package rollout is for rollout strategies written in Go: it hands typed requests
// to the author's function.
package rollout

import (
	"github.com/pintle-io/pintle/wasm/abi/rollout"
	"github.com/pintle-io/pintle/wasm/sdk/call"
)

// OnStep sets the function that answers the next step of a Deployment.
func OnStep(f func(*rollout.Request) (rollout.Answer, error)) {
	call.HandleJSON(rollout.OpStep, f)
}
