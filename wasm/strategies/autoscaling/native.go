package autoscaling

import (
	"context"
	"fmt"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/sdk/call"
)

// Native answers in process, by the same source and the same JSON as the Wasm
// form: it is the oracle that form is tested against, and what serves when no
// module does.
type Native struct{}

// Identity names the decider in decision records.
func (Native) Identity() string { return "native" }

// Call implements what the engine asks of a strategy at level L0.
func (Native) Call(_ context.Context, op int32, in []byte) (out []byte, fuel uint64, err error) {
	if op != scaling.OpDecide {
		return nil, 0, fmt.Errorf("the native autoscaling strategy does not answer operation %d", op)
	}
	out, err = call.Answer(Decide, in)
	return out, 0, err
}
