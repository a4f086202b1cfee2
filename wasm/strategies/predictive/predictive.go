// Package predictive is a stock autoscaling strategy that scales before the load
// is there: it lays a line through what was needed in the last minutes and asks for
// what that line needs a while ahead. It never asks for less than the built-in
// strategy, which it builds on, so a wrong forecast costs pods, not requests.
package predictive

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/strategies/autoscaling"
)

// Config of the strategy object. Zero selects the default.
type Config struct {
	// HorizonSeconds is how far ahead (default 120): the time a pod needs to
	// start, and some.
	HorizonSeconds int64 `json:"horizonSeconds,omitempty"`
	// WindowSeconds is what the line is laid through (default 600).
	WindowSeconds int64 `json:"windowSeconds,omitempty"`
}

const (
	defaultHorizon = 120
	defaultWindow  = 600
	// mostPoints bounds the state; at 15 s they are ten minutes.
	mostPoints = 40
	// fewestPoints a line is laid through.
	fewestPoints = 4
)

// point is what was needed at a time, in replicas.
type point struct {
	At   int64   `json:"t"`
	Need float64 `json:"n"`
}

// Decide answers one request.
func Decide(r *scaling.Request) (scaling.Answer, error) {
	config := Config{HorizonSeconds: defaultHorizon, WindowSeconds: defaultWindow}
	if len(r.Config) > 0 {
		if err := json.Unmarshal(r.Config, &config); err != nil {
			return scaling.Answer{}, fmt.Errorf("config: %w", err)
		}
	}
	var points []point
	if len(r.State) > 0 && json.Unmarshal(r.State, &points) != nil {
		points = nil // another strategy's; begin anew
	}
	forecast := int32(0)
	answer, err := autoscaling.DecideWith(r, func(r *scaling.Request, wanted int32, need float64) int32 {
		points = append(recent(points, r.Now-1000*config.WindowSeconds), point{At: r.Now, Need: math.Round(need*1000) / 1000})
		forecast = ahead(points, r.Now+1000*config.HorizonSeconds)
		return max(wanted, forecast)
	})
	if err != nil {
		return answer, err
	}
	if answer.Rescale && answer.Replicas > r.Replicas && forecast >= answer.Replicas {
		answer.Reason += fmt.Sprintf(", %d forecast in %d s", forecast, config.HorizonSeconds)
	}
	answer.State, err = json.Marshal(points)
	return answer, err
}

func recent(points []point, since int64) []point {
	for len(points) > 0 && (points[0].At < since || len(points) >= mostPoints) {
		points = points[1:]
	}
	return points
}

// ahead is what the line of least squares needs at a time, 0 if it falls or is not
// to be trusted.
func ahead(points []point, at int64) int32 {
	if len(points) < fewestPoints {
		return 0
	}
	origin := points[0].At
	var n, st, sn, stt, stn float64
	for _, p := range points {
		t := float64(p.At-origin) / 1000
		n++
		st += t
		sn += p.Need
		stt += float64(t * t)
		stn += float64(t * p.Need)
	}
	spread := float64(n*stt) - float64(st*st)
	if spread <= 0 {
		return 0
	}
	slope := (float64(n*stn) - float64(st*sn)) / spread
	if slope <= 0 {
		return 0
	}
	middle := (sn - float64(slope*st)) / n
	need := middle + float64(slope*(float64(at-origin)/1000))
	// A hair above a whole number is noise of the arithmetic, not a pod.
	return int32(min(math.Ceil(need-1e-6), math.MaxInt32))
}
