package strategy

import (
	"encoding/json"
	"slices"
	"time"
)

const (
	// A strategy that fails this often within the window decides no more.
	mostFailures  = 3
	failureWindow = time.Minute
	// samples is how many calls the percentiles are of.
	samples = 512
)

// member is one strategy that can be asked; its fields but the first four are
// guarded by the router's lock.
type member struct {
	name   string
	caller Caller
	config json.RawMessage
	hold   bool

	stats    stats
	recent   []time.Time
	failures int64
	last     string
	givenUp  time.Time
}

// failed takes note of a failure and reports whether it was one too many. The
// built-in strategy is never given up: there is nothing behind it.
func (m *member) failed(now time.Time, err error) bool {
	m.failures++
	m.last = err.Error()
	m.recent = slices.DeleteFunc(m.recent, func(t time.Time) bool { return now.Sub(t) >= failureWindow })
	m.recent = append(m.recent, now)
	if m.name == "" || len(m.recent) < mostFailures || !m.givenUp.IsZero() {
		return false
	}
	m.givenUp = now
	return true
}

// stats are of the last calls, in a ring.
type stats struct {
	calls int64
	fuel  [samples]uint64
	took  [samples]time.Duration
}

func (s *stats) add(fuel uint64, took time.Duration) {
	at := s.calls % samples
	s.fuel[at], s.took[at] = fuel, took
	s.calls++
}

// Status is what is known of a strategy.
type Status struct {
	Loaded   bool
	Identity string
	Calls    int64
	// Percentiles of the last calls.
	FuelP50, FuelP99       uint64
	LatencyP50, LatencyP99 time.Duration
	Failures               int64
	LastFailure            string
	// GivenUp is when it failed too often, zero if it decides.
	GivenUp time.Time
}

func (m *member) status() Status {
	s := Status{
		Loaded: true, Identity: m.caller.Identity(), Calls: m.stats.calls, Failures: m.failures,
		LastFailure: m.last, GivenUp: m.givenUp,
	}
	n := min(m.stats.calls, samples)
	if n == 0 {
		return s
	}
	fuel, took := slices.Clone(m.stats.fuel[:n]), slices.Clone(m.stats.took[:n])
	slices.Sort(fuel)
	slices.Sort(took)
	s.FuelP50, s.FuelP99 = fuel[n/2], fuel[n*99/100]
	s.LatencyP50, s.LatencyP99 = took[n/2], took[n*99/100]
	return s
}
