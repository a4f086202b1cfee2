package autoscaling

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling/scalingtest"
)

// TestDecodeAgreesWithEncodingJSON: no field of the contract is forgotten.
func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := scalingtest.Request(t)
		q.Problem = &scaling.Problem{Event: "a", Reason: "b", Message: "c\"", Error: "d"}
		q.Config, q.State = json.RawMessage(`{"x":[1]}`), json.RawMessage(`"s"`)
		for i := range q.Metrics {
			m := &q.Metrics[i]
			m.Container, m.Kind, m.Selector, m.RequestError = "c", "k", "s", "e"
		}
		in, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var want, got scaling.Request
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		if err := got.DecodeJSON(in); err != nil {
			t.Fatal(err)
		}
		// Empty and absent arrays are the same to every reader.
		if len(want.Pods) == 0 {
			want.Pods = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("encoding/json - DecodeJSON +\n%s", diff)
		}
	})
}
