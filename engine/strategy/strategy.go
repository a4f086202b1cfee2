// Package strategy decides whose answer counts: for every question about
// autoscaling or rollouts it picks the strategy in charge, asks it, has the answer
// checked, and falls back to the built-in one if the answer cannot be had or
// believed. It counts fuel, latency and failures of each strategy and gives up one
// that fails three times in a minute. It never acts on an answer.
//
// A Router is safe for concurrent use; strategies are asked without its lock.
package strategy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
)

// Annotation on an autoscaler or a Deployment that names its strategy.
const Annotation = "pintle.io/strategy"

// Types of strategies.
const (
	Autoscaling = "Autoscaling"
	Rollout     = "Rollout"
	Scheduling  = "Scheduling"
)

// Caller is a strategy that answers JSON; a guest of wasm/host is one.
type Caller interface {
	// Identity is NAME@sha256:DIGEST, or "native".
	Identity() string
	Call(ctx context.Context, op int32, in []byte) (out []byte, fuel uint64, err error)
}

// Config of a Router. Decisions is required.
type Config struct {
	Decisions *decision.Log
	Logger    *slog.Logger
	// Settled, if set, is closed once what is set and bound at the start is: questions
	// wait for it, since what another strategy answers may be hard to undo.
	Settled <-chan struct{}
}

// Router holds the strategies. Create it with New.
type Router struct {
	config Config
	mu     struct {
		sync.Mutex
		builtin map[string]*member // by type
		named   map[string]*member // by type and name
		binding []Binding
	}
}

// New returns a router without strategies.
func New(c Config) *Router {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{config: c}
	r.mu.builtin, r.mu.named = map[string]*member{}, map[string]*member{}
	return r
}

// Question is what is to be decided about one object.
type Question struct {
	// Type is Autoscaling or Rollout.
	Type   string
	Object decision.Object
	// Revision is the object's resourceVersion.
	Revision            string
	Labels, Annotations map[string]string
	Op                  int32
	// Input renders the request for a strategy with this configuration.
	Input func(config json.RawMessage) ([]byte, error)
	// Check believes an answer or says what is wrong with it.
	Check func(answer []byte) error
}

// Answer is what counts.
type Answer struct {
	JSON    []byte
	Decider string
	// Strategy is the name of the one in charge, whoever decided.
	Strategy string
	Fuel     uint64
	Duration time.Duration
	// InputHash identifies the question.
	InputHash string
	// Failures say, for people, why the strategy in charge did not decide.
	Failures []string
	// Held reports that the strategy failed and wants nothing done then.
	Held bool
}

// ErrHeld is returned if the strategy in charge failed and shall not be replaced.
var ErrHeld = errors.New("the strategy failed and its onFailure is Hold")

// Ask gives the answer of the strategy in charge, or of the built-in one.
func (r *Router) Ask(ctx context.Context, q Question) (Answer, error) {
	if r.config.Settled != nil {
		select {
		case <-r.config.Settled:
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
	route := r.route(&q)
	var failures []string
	for _, m := range route.chain {
		answer, err := r.try(ctx, m, &q)
		if err == nil {
			answer.Failures, answer.Strategy = failures, route.chain[0].name
			r.shadow(ctx, route.shadow, &q, answer.JSON)
			return answer, nil
		}
		failures = append(failures, fmt.Sprintf("%s: %v", m.caller.Identity(), err))
		r.failed(m, &q, err)
		if m.hold {
			return Answer{Failures: failures, Strategy: m.name, Held: true}, fmt.Errorf("%w: %w", ErrHeld, err)
		}
	}
	if len(route.chain) == 0 {
		return Answer{}, fmt.Errorf("there is no %s strategy", q.Type)
	}
	return Answer{Failures: failures}, fmt.Errorf("no strategy could decide about %s: %s", q.Object, failures[len(failures)-1])
}

// try asks one strategy and has its answer checked.
func (r *Router) try(ctx context.Context, m *member, q *Question) (Answer, error) {
	in, err := q.Input(m.config)
	if err != nil {
		return Answer{}, err
	}
	start := time.Now()
	out, fuel, err := m.caller.Call(ctx, q.Op, in)
	took := time.Since(start)
	if err == nil {
		err = q.Check(out)
	}
	m.health.Called(fuel, took)
	if err != nil {
		return Answer{}, err
	}
	return Answer{JSON: out, Decider: m.caller.Identity(), Fuel: fuel, Duration: took, InputHash: hash(in)}, nil
}

// hash identifies an input in records.
func hash(in []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(in)
	return fmt.Sprintf("%016x", h.Sum64())
}

// failed makes a failure known, and gives the strategy up if it was one too many.
func (r *Router) failed(m *member, q *Question, err error) {
	now := time.Now()
	given := m.health.Failed(now, err)
	r.config.Logger.Warn("strategy failed", "decider", m.caller.Identity(), "kind", q.Object.Kind,
		"namespace", q.Object.Namespace, "name", q.Object.Name, "err", err)
	record := decision.Record{
		Time: metav1.NewMicroTime(now), Object: q.Object, Revision: q.Revision, Decider: m.caller.Identity(),
		Verdict: decision.StrategyFailed, Message: err.Error(),
	}
	r.config.Decisions.Add(record)
	if !given {
		return
	}
	record.Verdict = decision.FallenBack
	record.Message = m.health.WhyGivenUp()
	r.config.Logger.Error("strategy given up", "decider", m.caller.Identity(), "failures", mostFailures)
	record.Object = decision.Object{Kind: "strategy", Name: m.name}
	r.config.Decisions.Add(record)
}
