package strategies

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/scheduling"
	"github.com/pintle-io/pintle/engine/strategy"
)

// Loaded is a module that can be asked: Caller is set for types that answer JSON,
// Placer for Scheduling.
type Loaded struct {
	Caller strategy.Caller
	Placer scheduling.Placer
	// ABI is the version of the contract that it answers to.
	ABI string
	// Instances is how many are in memory.
	Instances func() int
	// Retire lets go of a Caller: questions under way and those that come late are
	// still answered. A Placer is closed by the scheduler.
	Retire func() error
}

// Host loads modules. Its errors are for people: what is wrong with the module.
type Host interface {
	Load(ctx context.Context, kind, name string, module []byte) (Loaded, error)
}

// Router is who asks strategies about autoscalers and rollouts; strategy.Router is
// one.
type Router interface {
	Set(strategy.Member)
	Remove(kind, name string)
	Bind([]strategy.Binding)
}

// Scheduler is who asks strategies about pods; scheduling.Scheduler is one.
type Scheduler interface {
	SetStrategies([]*scheduling.Strategy, []strategy.Binding)
}

// running is a strategy that is loaded. It is not changed once it is in the table.
type running struct {
	kind, name string
	digest     string
	generation int64
	uid        string
	source     string
	hold       bool
	config     json.RawMessage
	loaded     Loaded
	health     *strategy.Health
}

// table is what is loaded, by name, and how it is bound. It tells router and
// scheduler of every change.
type table struct {
	router    Router
	scheduler Scheduler
	mu        struct {
		sync.Mutex
		running  map[string]*running
		bindings []strategy.Binding
	}
}

func newTable(router Router, scheduler Scheduler) *table {
	t := &table{router: router, scheduler: scheduler}
	t.mu.running = map[string]*running{}
	return t
}

func (t *table) get(name string) *running {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.running[name]
}

// put has r decide from now on; what it replaces is let go of.
func (t *table) put(r *running) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.mu.running[r.name]
	t.mu.running[r.name] = r
	if r.kind == strategy.Scheduling {
		t.tell()
	} else {
		t.router.Set(strategy.Member{Type: r.kind, Name: r.name, Caller: r.loaded.Caller, Config: r.config, Hold: r.hold, Health: r.health})
	}
	if old == nil || old.loaded.Caller == r.loaded.Caller {
		return nil
	}
	return old.retire()
}

// drop takes a strategy out.
func (t *table) drop(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.mu.running[name]
	if old == nil {
		return nil
	}
	delete(t.mu.running, name)
	t.remove(old)
	return old.retire()
}

func (t *table) remove(old *running) {
	if old.kind == strategy.Scheduling {
		t.tell()
		return
	}
	t.router.Remove(old.kind, old.name)
}

// bind replaces the bindings.
func (t *table) bind(all []strategy.Binding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.bindings = all
	t.router.Bind(all)
	t.tell()
}

// tell hands the scheduler what is its own.
func (t *table) tell() {
	var named []*scheduling.Strategy
	for _, r := range t.mu.running {
		if r.kind == strategy.Scheduling {
			named = append(named, &scheduling.Strategy{Name: r.name, Placer: r.loaded.Placer, Hold: r.hold, Health: r.health})
		}
	}
	var bindings []strategy.Binding
	for _, b := range t.mu.bindings {
		if b.Type == strategy.Scheduling {
			bindings = append(bindings, b)
		}
	}
	t.scheduler.SetStrategies(named, bindings)
}

func (r *running) retire() error {
	if r.loaded.Retire == nil {
		return nil
	}
	return r.loaded.Retire()
}

// observed is what the plans look at of a running strategy.
func (r *running) observed() *Running {
	if r == nil {
		return nil
	}
	out := &Running{Type: r.kind, Digest: r.digest, Source: r.source, ABI: r.loaded.ABI, Status: r.health.Status(), WhyGivenUp: r.health.WhyGivenUp()}
	if r.loaded.Instances != nil {
		out.Instances = r.loaded.Instances()
	}
	return out
}

// newHealth begins anew, unless the status says that this very strategy had been
// given up before the server was started.
func newHealth(s *pintle.Strategy, digest string, givenUp func()) *strategy.Health {
	h := strategy.NewHealth(s.Spec.OnFailure == pintle.Hold, givenUp)
	if at, last := fellBack(s, digest); !at.IsZero() {
		h.GiveUp(at, last)
	}
	return h
}

func fellBack(s *pintle.Strategy, digest string) (at time.Time, last string) {
	if s.Status.ObservedGeneration != s.Generation || s.Status.Active == nil || s.Status.Active.Digest != digest {
		return time.Time{}, ""
	}
	for _, c := range s.Status.Conditions {
		if c.Type == pintle.FallenBack && c.Status == "True" {
			return c.LastTransitionTime.Time, s.Status.LastFailure
		}
	}
	return time.Time{}, ""
}
