package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/pintle-io/pintle/engine/controllers"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/scheduling"
	"github.com/pintle-io/pintle/policies"
	"github.com/pintle-io/pintle/wasm/host"
	"github.com/pintle-io/pintle/wasm/strategies"
	native "github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

// workers are the loops that run beside the API: each blocks until its context
// ends.
type workers []func(ctx context.Context) error

func (w workers) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range w {
		group.Go(func() error { return run(ctx) })
	}
	return group.Wait()
}

// wireWorkers builds every loop of the control plane. All informers they need
// are registered here, before the factory is started.
func (c *controlPlane) wireWorkers(logs *decision.API, rego *policies.Engine) error {
	events := reconcile.NewEvents(c.client)
	decisions := logs.Decisions
	router := c.newStrategies(decisions)
	all, err := c.newControllers(events, router, decisions)
	if err != nil {
		return err
	}
	scheduler, err := scheduling.New(scheduling.Config{
		Client: c.client.AsController("kube-scheduler"), Informers: c.client.Informers(), Fallback: &native.Native{},
		Budgets: c.client.Informers().Policy().V1().PodDisruptionBudgets().Lister(), Decisions: decisions, Recorder: events.Recorder(scheduling.DefaultName), Logger: c.log.With("part", "scheduling"),
	})
	if err != nil {
		return err
	}
	logs.Judge = c.judge(scheduler)
	named, err := c.newStrategyControllers(c.reconcileEnv(events), router, scheduler)
	if err != nil {
		return err
	}
	all = append(all, named.Loops()...)
	c.work = workers{
		func(ctx context.Context) error { return events.Run(c.leader.Fenced(ctx)) },
		decisions.Run,
		logs.Denials.Run,
		c.leader.Run,
		func(ctx context.Context) error { return controllers.Run(ctx, all) },
		c.leader.Once(func(ctx context.Context) error {
			select {
			case <-c.strategiesSettled:
			case <-ctx.Done():
			}
			return scheduler.Run(ctx)
		}),
		func(ctx context.Context) error { return c.serveStrategies(ctx, named) },
		func(ctx context.Context) error { return c.loadStrategy(ctx, scheduler) },
		func(ctx context.Context) error { return c.loadStrategies(ctx, router) },
		policies.NewSyncer(rego, c.client.Dynamic(), c.log.With("part", "policies")).Run,
	}
	if c.cfg.Nodes > 0 {
		c.work = append(c.work, c.runNodes)
	}
	if c.cfg.FakeNodes > 0 {
		fleet, err := c.newFakeNodes()
		if err != nil {
			return err
		}
		c.work = append(c.work, fleet.Run)
	}
	if c.cfg.Nodes > 0 || c.endpoint.Addr() != topology(c.cfg.DataDir).Gateway() {
		c.work = append(c.work, func(ctx context.Context) error { return runDNS(ctx, c.dns, c.endpoint.Addr()) })
	}
	return nil
}

// loadStrategy compiles the scheduling module beside the running cluster and puts
// it to use; until then, and without one, the native build of the built-in
// strategy decides.
func (c *controlPlane) loadStrategy(ctx context.Context, scheduler *scheduling.Scheduler) error {
	name, module, err := schedulingModule(c.cfg)
	if err != nil {
		return err
	}
	if module == nil {
		c.log.Warn("the built-in scheduling module was not compiled; its native source serves (`task build` compiles it)")
		return nil
	}
	runtime, err := c.placing()
	if err != nil {
		return err
	}
	loaded, err := runtime.Load(ctx, name, module)
	if err != nil {
		c.log.Error("the scheduling module is refused; the native strategy serves", "module", name, "err", err)
		return nil
	}
	placer, err := host.NewScheduler(loaded)
	if err != nil {
		c.log.Error("the scheduling module is refused; the native strategy serves", "module", name, "err", err)
		return nil
	}
	scheduler.Use(placer)
	return nil
}

// schedulingModule returns the module the user chose, or the built-in one if it
// was compiled, or nil.
func schedulingModule(cfg Config) (string, []byte, error) {
	if cfg.SchedulerModule == "" {
		module, _ := strategies.Module("scheduling")
		return "scheduling", module, nil
	}
	module, err := os.ReadFile(cfg.SchedulerModule)
	if err != nil {
		return "", nil, fmt.Errorf("--scheduler-module: %w", err)
	}
	return filepath.Base(cfg.SchedulerModule), module, nil
}
