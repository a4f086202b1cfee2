package host_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling/scalingtest"
)

const scalingModule = "github.com/pintle-io/pintle/wasm/strategies/autoscaling/module"

// TestScalingGuestAgreesWithNative: the same answers, byte by byte, and again.
func TestScalingGuestAgreesWithNative(t *testing.T) {
	c := newCaller(t, "autoscaling", guest(t, scalingModule))
	rapid.Check(t, func(t *rapid.T) {
		in, err := json.Marshal(scalingtest.Request(t))
		if err != nil {
			t.Fatal(err)
		}
		want, _, wantErr := autoscaling.Native{}.Call(t.Context(), scaling.OpDecide, in)
		got, _, err := c.Call(t.Context(), scaling.OpDecide, in)
		if err != nil || wantErr != nil {
			t.Fatalf("guest: %v, native: %v", err, wantErr)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("native - guest +\n%s", diff)
		}
	})
}

// BenchmarkScalingCall prints the 99th percentile of a decision about an
// autoscaler by CPU and memory.
func BenchmarkScalingCall(b *testing.B) {
	c := newCaller(b, "autoscaling", guest(b, scalingModule))
	for _, pods := range []int{10, 50, 100, 500} {
		r := scaling.Request{Now: 1e12, Min: 1, Max: 1000, Replicas: int32(pods), Running: int32(pods), DownTolerance: .1, UpTolerance: .1}
		for _, name := range []string{"cpu", "memory"} {
			m := scaling.Metric{Type: scaling.Resource, Name: name, Utilization: ptr.To(int32(80))}
			for i := range pods {
				m.Samples = append(m.Samples, scaling.Sample{Pod: i, Value: 250, At: 1e12, Window: 15000})
				m.Requests = append(m.Requests, 300)
			}
			r.Metrics = append(r.Metrics, m)
		}
		for range pods {
			r.Pods = append(r.Pods, scaling.Pod{Phase: "Running", Ready: "True", Since: 1e12 - 1e6, Start: 1e12 - 2e6})
		}
		in, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			var took []time.Duration
			var used uint64
			for b.Loop() {
				start := time.Now()
				_, fuel, err := c.Call(b.Context(), scaling.OpDecide, in)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				used = fuel
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "us-p99")
			b.ReportMetric(float64(used), "fuel")
		})
	}
}
