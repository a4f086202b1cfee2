package predictive

import (
	"testing"

	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling/scalingtest"
)

// load is a request of an autoscaler whose target shall have 100 of a queue each.
func load(now int64, queue int64, replicas int32) *scaling.Request {
	return &scaling.Request{
		Now: now, Min: 1, Max: 100, Replicas: replicas, Running: replicas, UpTolerance: .1, DownTolerance: .1, DownWindow: 300_000,
		Metrics: []scaling.Metric{{Type: scaling.External, Name: "queue", AverageValue: ptr.To(int64(100)), Observed: queue}},
	}
}

// TestScalesAheadOfARamp: on a steady rise the strategy has the replicas before the
// built-in one asks for them.
func TestScalesAheadOfARamp(t *testing.T) {
	var state []byte
	replicas := int32(10)
	ahead := 0
	for i := range int64(20) {
		queue := 1000 + 50*i
		r := load(scalingtest.Now+15_000*i, queue, replicas)
		r.State = state
		a, err := Decide(r)
		if err != nil {
			t.Fatal(err)
		}
		if needed := int32((queue + 99) / 100); a.Replicas < needed-1 {
			t.Errorf("step %d: %d replicas, %d are needed", i, a.Replicas, needed)
		} else if a.Replicas >= needed+3 {
			ahead++
		}
		state, replicas = a.State, a.Replicas
	}
	if ahead < 10 {
		t.Errorf("it was ahead in %d of 20 steps", ahead)
	}
}

func TestNeverAsksForLessThanTheBuiltin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := scalingtest.Request(t)
		want, err := autoscaling.Decide(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decide(r)
		if err != nil {
			t.Fatal(err)
		}
		if got.Replicas < want.Replicas {
			t.Fatalf("%d replicas, the built-in strategy asks for %d", got.Replicas, want.Replicas)
		}
	})
}

func TestStrangeStateIsForgotten(t *testing.T) {
	r := load(scalingtest.Now, 1000, 10)
	r.State = []byte(`{"not":"ours"}`)
	if a, err := Decide(r); err != nil || a.Replicas != 10 {
		t.Errorf("%+v, %v", a, err)
	}
	r.Config = []byte(`{"horizonSeconds":"soon"}`)
	if _, err := Decide(r); err == nil {
		t.Error("a configuration of the wrong type is taken")
	}
}
