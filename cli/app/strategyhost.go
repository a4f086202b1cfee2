package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pintle-io/pintle/engine/controllers/strategies"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/wasm/host"
)

// strategyRest is how long a module that answers JSON stays in memory unasked;
// autoscalers ask every 15 s.
const strategyRest = time.Minute

// moduleHost loads modules into the two Wasm runtimes of the server, which differ in
// how much memory they give a guest. It is safe for concurrent use.
type moduleHost struct {
	// scheduling and answering are runtimes for modules that place pods, and for those
	// that answer JSON.
	scheduling, answering func() (*host.Runtime, error)
}

var _ strategies.Host = (*moduleHost)(nil)

// Load implements strategies.Host.
func (h *moduleHost) Load(ctx context.Context, kind, name string, module []byte) (strategies.Loaded, error) {
	if kind == strategy.Scheduling {
		return h.loadPlacer(ctx, name, module)
	}
	runtime, err := h.answering()
	if err != nil {
		return strategies.Loaded{}, err
	}
	caller, err := host.NewOnDemand(ctx, runtime, name, func() []byte { return module }, strategyRest)
	if err != nil {
		return strategies.Loaded{}, err
	}
	return strategies.Loaded{Caller: caller, ABI: caller.ABI(), Instances: caller.Instances, Retire: caller.Retire}, nil
}

func (h *moduleHost) loadPlacer(ctx context.Context, name string, module []byte) (strategies.Loaded, error) {
	runtime, err := h.scheduling()
	if err != nil {
		return strategies.Loaded{}, err
	}
	loaded, err := runtime.Load(ctx, name, module)
	if err != nil {
		return strategies.Loaded{}, err
	}
	scheduler, err := host.NewScheduler(loaded)
	if err != nil {
		return strategies.Loaded{}, errors.Join(err, loaded.Close(ctx))
	}
	// One that decides, and a warm spare.
	instances := func() int { return 2 }
	return strategies.Loaded{Placer: placer{scheduler, loaded}, ABI: loaded.ABI(), Instances: instances}, nil
}

// placer is a scheduler that lets go of its module, too, once it is closed.
type placer struct {
	*host.Scheduler
	module *host.Module
}

// Close implements io.Closer.
func (p placer) Close() error {
	return errors.Join(p.Scheduler.Close(), p.module.Close(context.Background()))
}

// wasmRuntime starts a runtime, with the default cap on memory if pages is zero.
func (c *controlPlane) wasmRuntime(ctx context.Context, pages uint32) (*host.Runtime, error) {
	runtime, err := host.New(ctx, host.Config{CacheDir: wasmCacheDir(c.cfg.DataDir), MemoryPages: pages, Logger: c.log.With("part", "wasm")})
	if err != nil {
		return nil, fmt.Errorf("start the Wasm runtime: %w", err)
	}
	return runtime, nil
}
