package host

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// OnDemand is a Caller whose module is in memory only while it is asked: a module
// from a Go compiler takes 25 MB, and a cluster at rest asks nothing. Its machine
// code comes back from the runtime's cache directory, so a runtime without one
// compiles anew. It is safe for concurrent use.
type OnDemand struct {
	runtime *Runtime
	name    string
	binary  func() []byte
	digest  string
	abi     string
	rest    time.Duration
	mu      struct {
		sync.Mutex
		module *Module // nil while it rests
		caller *Caller
		asking int
		timer  *time.Timer
		closed bool
	}
}

// NewOnDemand loads a module as Load and NewCaller do, to know that it can be used
// and to have its code in the cache, and lets it rest. From then on it rests again
// when nothing was asked for the given time. The binary is read at each load and
// must always be the same.
func NewOnDemand(ctx context.Context, r *Runtime, name string, binary func() []byte, rest time.Duration) (*OnDemand, error) {
	d := &OnDemand{runtime: r, name: name, binary: binary, rest: rest}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	d.digest, d.abi = d.mu.module.Digest, d.mu.module.ABI()
	return d, d.unload()
}

// Identity is the module's name and, behind an @, its digest.
func (d *OnDemand) Identity() string { return d.name + "@" + d.digest }

// Call is Caller.Call; the first one after a rest waits for the module.
func (d *OnDemand) Call(ctx context.Context, op int32, in []byte) (out []byte, fuel uint64, err error) {
	caller, err := d.take(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer d.give()
	return caller.Call(ctx, op, in)
}

// Close lets go of the module, once the calls under way have ended, for good.
func (d *OnDemand) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.closed = true
	if d.mu.timer != nil {
		d.mu.timer.Stop()
	}
	if d.mu.asking > 0 {
		return nil
	}
	return d.unload()
}

// Retire lets the module rest as soon as nobody asks it, from now on: who still has
// it from before it was replaced is answered all the same.
func (d *OnDemand) Retire() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rest = 0
	if d.mu.timer != nil {
		d.mu.timer.Stop()
	}
	if d.mu.asking > 0 {
		return nil
	}
	return d.unload()
}

// Instances is how many are in memory and wait to be asked.
func (d *OnDemand) Instances() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.module == nil {
		return 0
	}
	d.mu.caller.mu.Lock()
	defer d.mu.caller.mu.Unlock()
	return len(d.mu.caller.mu.idle) + d.mu.asking
}

// ABI is the version of the contract that the module answers to.
func (d *OnDemand) ABI() string { return d.abi }

// errClosed answers calls after Close.
var errClosed = errors.New("the strategy was closed")

func (d *OnDemand) take(ctx context.Context) (*Caller, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return nil, errClosed
	}
	if d.mu.module == nil {
		if err := d.load(ctx); err != nil {
			return nil, err
		}
	}
	d.mu.asking++
	return d.mu.caller, nil
}

func (d *OnDemand) give() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.asking--
	switch {
	case d.mu.asking > 0:
	case d.mu.closed:
		d.letGo()
	case d.mu.timer == nil:
		d.mu.timer = time.AfterFunc(d.rest, d.goToRest)
	default:
		d.mu.timer.Reset(d.rest)
	}
}

func (d *OnDemand) goToRest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.asking == 0 {
		d.letGo()
	}
}

// letGo unloads where nobody waits for an error.
func (d *OnDemand) letGo() {
	if err := d.unload(); err != nil {
		d.runtime.config.Logger.Warn("a strategy could not be unloaded", "strategy", d.name, "err", err)
	}
	debug.FreeOSMemory()
}

func (d *OnDemand) load(ctx context.Context) error {
	module, err := d.runtime.Load(ctx, d.name, d.binary())
	if err != nil {
		return err
	}
	caller, err := NewCaller(module)
	if err != nil {
		return errors.Join(err, module.Close(ctx))
	}
	d.mu.module, d.mu.caller = module, caller
	return nil
}

func (d *OnDemand) unload() error {
	if d.mu.module == nil {
		return nil
	}
	err := errors.Join(d.mu.caller.Close(), d.mu.module.Close(context.Background()))
	d.mu.module, d.mu.caller = nil, nil
	return err
}
