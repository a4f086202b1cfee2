package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/scale"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/autoscaling"
	strategycontrollers "github.com/pintle-io/pintle/engine/controllers/strategies"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/scheduling"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/engine/strategy/artifact"
	"github.com/pintle-io/pintle/policies/definition"
	"github.com/pintle-io/pintle/wasm/host"
	"github.com/pintle-io/pintle/wasm/strategies"
	nativescaling "github.com/pintle-io/pintle/wasm/strategies/autoscaling"
	nativerollout "github.com/pintle-io/pintle/wasm/strategies/rollout"
)

// newStrategies makes the router with the native builds of the built-in
// strategies; loadStrategies brings their modules in.
func (c *controlPlane) newStrategies(decisions *decision.Log) *strategy.Router {
	r := strategy.New(strategy.Config{Decisions: decisions, Logger: c.log.With("part", "strategy"), Settled: c.strategiesSettled})
	r.SetBuiltin(strategy.Autoscaling, nil, nativescaling.Native{})
	r.SetBuiltin(strategy.Rollout, nil, nativerollout.Native{})
	return r
}

// builtins are the modules of level L0 that are in the binary, by type.
var builtins = []struct{ kind, module string }{
	{strategy.Autoscaling, "autoscaling"},
	{strategy.Rollout, "rollout"},
}

// stock are modules in the binary that are used where they are chosen, by name.
var stock = []struct{ kind, module string }{
	{strategy.Autoscaling, "predictive"},
}

// loadStrategies compiles the built-in modules beside the running cluster and puts
// them to use; until then, and without them, their native builds decide.
func (c *controlPlane) loadStrategies(ctx context.Context, router *strategy.Router) error {
	runtime, err := c.answering()
	if err != nil {
		return err
	}
	load := func(name string) strategy.Caller {
		module := func() []byte { module, _ := strategies.Module(name); return module }
		if _, ok := strategies.Module(name); !ok {
			c.log.Warn("a built-in strategy was not compiled; its native source serves (`task build` compiles it)", "module", name)
			return nil
		}
		caller, err := host.NewOnDemand(ctx, runtime, name, module, strategyRest)
		if err != nil {
			c.log.Error("a built-in strategy is refused; its native source serves", "module", name, "err", err)
			return nil
		}
		return caller
	}
	for _, b := range builtins {
		if caller := load(b.module); caller != nil {
			router.SetBuiltin(b.kind, caller, nil)
		}
	}
	for _, s := range stock {
		if caller := load(s.module); caller != nil {
			router.Set(strategy.Member{Type: s.kind, Name: s.module, Caller: caller})
		}
	}
	return nil
}

// settlePatience bounds how long decisions wait at the start for the Strategies that
// the API holds: a module that cannot be had must not keep the cluster from working.
const settlePatience = 10 * time.Second

// newStrategyControllers builds the controllers of Strategies and StrategyBindings.
func (c *controlPlane) newStrategyControllers(env reconcile.Env, router *strategy.Router, scheduler *scheduling.Scheduler) (*strategycontrollers.Controllers, error) {
	return strategycontrollers.New(strategycontrollers.Config{
		Env: env, Router: router, Scheduler: scheduler, Host: &moduleHost{scheduling: c.placing, answering: c.answering},
		Dir: strategiesDir(c.cfg.DataDir), KeepDir: keptStrategiesDir(c.cfg.DataDir), Builtin: strategies.Module,
		Registry: artifact.Puller{}, Logger: c.log.With("part", "strategy"),
	})
}

// serveStrategies defines the kinds, watches them, and lets decisions begin once what
// was stored is in force.
func (c *controlPlane) serveStrategies(ctx context.Context, controllers *strategycontrollers.Controllers) error {
	stored, err := c.stored(ctx, pintle.Strategies.GroupResource())
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		close(c.strategiesSettled)
	} else {
		go func() {
			defer close(c.strategiesSettled)
			select {
			case <-controllers.Settled():
			case <-ctx.Done():
			case <-time.After(settlePatience):
				c.log.Warn("not all strategies could be loaded in time; others decide until they are")
			}
		}()
	}
	if err := os.MkdirAll(strategiesDir(c.cfg.DataDir), 0o700); err != nil {
		return fmt.Errorf("make the directory of strategies: %w", err)
	}
	definitions, err := pintle.Definitions()
	if err != nil {
		return err
	}
	if err := definition.Serve(ctx, c.client.Dynamic(), c.log.With("part", "strategy"), definitions...); err != nil {
		return nil // the server ends
	}
	return controllers.Watch(ctx)
}

// newAutoscaling builds the controller of HorizontalPodAutoscalers.
func (c *controlPlane) newAutoscaling(env reconcile.Env, mapper meta.RESTMapper, source autoscaling.Source, router *strategy.Router, decisions *decision.Log) (*reconcile.Controller, error) {
	cfg := env.WriterFor(autoscaling.Name).RESTConfig()
	found, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	scales, err := scale.NewForConfig(cfg, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	if err != nil {
		return nil, err
	}
	return autoscaling.New(env, autoscaling.Config{Scales: scales, Mapper: mapper, Source: source, Strategies: router, Decisions: decisions})
}
