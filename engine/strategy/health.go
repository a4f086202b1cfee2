package strategy

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// A strategy that fails this often within the window decides no more.
	mostFailures  = 3
	failureWindow = time.Minute
	// samples is how many calls the percentiles are of.
	samples = 512
)

// Health is how a strategy does: what its calls cost, how often it failed, how
// often its answers on trial were those that counted, and whether it was given up.
// It is safe for concurrent use.
type Health struct {
	lasting bool
	givenUp func()
	mu      struct {
		sync.Mutex
		stats            stats
		recent           []time.Time
		failures         int64
		last             string
		givenUp          time.Time
		agreed, differed int64
	}
}

// NewHealth returns the health of a strategy that was never asked. A lasting one is
// never given up: there is nothing behind it, or nothing shall be. givenUp, if not
// nil, is called when the strategy is; it must not block.
func NewHealth(lasting bool, givenUp func()) *Health {
	return &Health{lasting: lasting, givenUp: givenUp}
}

// Called takes note of a call, whatever became of it.
func (h *Health) Called(fuel uint64, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.stats.add(fuel, took)
}

// Compared takes note of how many answers on trial were those that counted.
func (h *Health) Compared(agreed, differed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.agreed += int64(agreed)
	h.mu.differed += int64(differed)
}

// Failed takes note of a failure and reports whether it was one too many.
func (h *Health) Failed(now time.Time, err error) bool {
	if !h.fail(now, err) {
		return false
	}
	if h.givenUp != nil {
		h.givenUp()
	}
	return true
}

func (h *Health) fail(now time.Time, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.mu
	m.failures++
	m.last = err.Error()
	m.recent = slices.DeleteFunc(m.recent, func(t time.Time) bool { return now.Sub(t) >= failureWindow })
	m.recent = append(m.recent, now)
	if h.lasting || len(m.recent) < mostFailures || !m.givenUp.IsZero() {
		return false
	}
	m.givenUp = now
	return true
}

// GiveUp says of a strategy what an earlier process found out about it.
func (h *Health) GiveUp(at time.Time, last string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.givenUp, h.mu.last = at, last
}

// GivenUp reports that the strategy decides no more.
func (h *Health) GivenUp() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.mu.givenUp.IsZero()
}

// WhyGivenUp is for people: how often it failed, and the last failure.
func (h *Health) WhyGivenUp() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("failed %d times within %v; the last time: %s", mostFailures, failureWindow, h.mu.last)
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
	Calls int64
	// Percentiles of the last calls.
	FuelP50, FuelP99       uint64
	LatencyP50, LatencyP99 time.Duration
	Failures               int64
	LastFailure            string
	// GivenUp is when it failed too often, zero if it decides.
	GivenUp time.Time
	// Agreed and Differed count its answers on trial.
	Agreed, Differed int64
}

// Status is a snapshot.
func (h *Health) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.mu
	s := Status{
		Calls: m.stats.calls, Failures: m.failures, LastFailure: m.last, GivenUp: m.givenUp,
		Agreed: m.agreed, Differed: m.differed,
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
