// Package scalingtest draws autoscaling requests for tests of strategies: any mix
// of metrics, pods in any state, windows and policies. It is used by tests alone.
package scalingtest

import (
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// Now is the time of every request drawn.
const Now = int64(1_700_000_000_000)

// Request draws a request that the engine might make.
func Request(t *rapid.T) *scaling.Request {
	small := func(name string, most int) int32 { return int32(rapid.IntRange(0, most).Draw(t, name)) }
	r := &scaling.Request{
		Now: Now, Namespace: "ns", Name: "h", Min: small("min", 3), Replicas: small("replicas", 12), Running: small("running", 12),
		DownTolerance: 0.1, UpTolerance: 0.1, DownWindow: 300_000, Initialization: 300_000, Readiness: 30_000,
		ScaledToZero: rapid.Bool().Draw(t, "scaledToZero"),
	}
	r.Max = max(r.Min, 1) + small("range", 15)
	r.Recommendations = stamps(t, "recommendations")
	if rapid.Bool().Draw(t, "behavior") {
		r.Behavior = &scaling.Behavior{Up: rules(t, "up"), Down: rules(t, "down")}
		r.Ups, r.Downs = stamps(t, "ups"), stamps(t, "downs")
	}
	for range small("pods", 8) {
		r.Pods = append(r.Pods, pod(t))
	}
	for range 1 + small("metrics", 2) {
		r.Metrics = append(r.Metrics, metric(t, len(r.Pods)))
	}
	return r
}

func stamps(t *rapid.T, name string) []scaling.Stamp {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scaling.Stamp {
		return scaling.Stamp{At: Now - rapid.Int64Range(0, 600_000).Draw(t, "age"), Replicas: rapid.Int32Range(0, 12).Draw(t, "replicas")}
	}), 0, 5).Draw(t, name)
}

func rules(t *rapid.T, name string) scaling.Rules {
	r := scaling.Rules{
		Window: 1000 * rapid.Int64Range(0, 600).Draw(t, name+"Window"),
		Select: rapid.SampledFrom([]string{"Max", "Min", "Disabled"}).Draw(t, name+"Select"),
	}
	for range rapid.IntRange(1, 3).Draw(t, name+"Policies") {
		r.Policies = append(r.Policies, scaling.Policy{
			Type: rapid.SampledFrom([]string{"Pods", "Percent"}).Draw(t, "policy"), Value: rapid.Int32Range(1, 200).Draw(t, "value"),
			Period: 1000 * rapid.Int64Range(1, 600).Draw(t, "period"),
		})
	}
	return r
}

func pod(t *rapid.T) scaling.Pod {
	age := func(name string) int64 { return Now - rapid.Int64Range(0, 900_000).Draw(t, name) }
	return scaling.Pod{
		Phase:    rapid.SampledFrom([]string{"Running", "Running", "Running", "Pending", "Failed"}).Draw(t, "phase"),
		Deleting: rapid.IntRange(0, 5).Draw(t, "deleting") == 0,
		Ready:    rapid.SampledFrom([]string{"True", "True", "True", "False", ""}).Draw(t, "ready"),
		Since:    age("since"), Start: age("start"),
	}
}

func metric(t *rapid.T, pods int) scaling.Metric {
	amount := func(name string) *int64 {
		n := rapid.Int64Range(1, 5000).Draw(t, name)
		return &n
	}
	m := scaling.Metric{Type: rapid.SampledFrom([]string{scaling.Resource, scaling.ContainerResource, scaling.Pods, scaling.Object, scaling.External}).Draw(t, "type")}
	m.Name = "requests"
	if rapid.IntRange(0, 9).Draw(t, "failed") == 0 {
		m.Error = "unable to get metrics"
	}
	switch m.Type {
	case scaling.Object, scaling.External:
		m.Observed = rapid.Int64Range(0, 20_000).Draw(t, "observed")
		if rapid.Bool().Draw(t, "average") {
			m.AverageValue = amount("target")
		} else {
			m.Value = amount("target")
		}
		return m
	case scaling.Pods:
		m.AverageValue = amount("target")
	default:
		m.Name = rapid.SampledFrom([]string{"cpu", "memory"}).Draw(t, "resource")
		if rapid.Bool().Draw(t, "average") {
			m.AverageValue = amount("target")
			break
		}
		percent := rapid.Int32Range(1, 200).Draw(t, "percent")
		m.Utilization = &percent
	}
	for i := range pods {
		m.Requests = append(m.Requests, rapid.Int64Range(0, 1000).Draw(t, "request"))
		if rapid.IntRange(0, 4).Draw(t, "missing") > 0 {
			m.Samples = append(m.Samples, scaling.Sample{
				Pod: i, Value: rapid.Int64Range(0, 3000).Draw(t, "value"), At: Now - rapid.Int64Range(0, 120_000).Draw(t, "at"), Window: 30_000,
			})
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "stranger") == 0 {
		m.Samples = append(m.Samples, scaling.Sample{Pod: -1, Value: 100})
	}
	return m
}
