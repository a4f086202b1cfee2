package rollout

import (
	"context"
	"fmt"

	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
	"github.com/pintle-io/pintle/wasm/sdk/call"
)

// Native answers in process, by the same source and the same JSON as the Wasm form.
type Native struct{}

// Identity names the decider in decision records.
func (Native) Identity() string { return "native" }

// Call implements what the engine asks of a strategy at level L0.
func (Native) Call(_ context.Context, op int32, in []byte) (out []byte, fuel uint64, err error) {
	if op != abi.OpStep {
		return nil, 0, fmt.Errorf("the native rollout strategy does not answer operation %d", op)
	}
	out, err = call.Answer(Step, in)
	return out, 0, err
}
