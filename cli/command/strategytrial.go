package command

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

func strategyShadowCommand() *cli.Command {
	return &cli.Command{
		Name: "shadow", Usage: "Have a strategy asked beside the one that decides, and compared", ArgsUsage: "BINDING STRATEGY",
		Flags: strategyFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 2, 2)
			if err != nil {
				return err
			}
			candidate := map[string]any{"strategy": args[1], "shadow": true, "percent": nil}
			return changeBinding(c, args[0], func(context.Context, *strategyAPI, *pintle.StrategyBinding) (map[string]any, error) {
				return map[string]any{"candidate": candidate}, nil
			}, fmt.Sprintf("%s is in the shadow", args[1]))
		},
	}
}

func strategyCanaryCommand() *cli.Command {
	return &cli.Command{
		Name: "canary", Usage: "Have a strategy decide about a share of the objects", ArgsUsage: "BINDING [STRATEGY] PERCENT",
		Description: "STRATEGY is the candidate that is there already, if none is named.",
		Flags:       strategyFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 2, 3)
			if err != nil {
				return err
			}
			percent, err := strconv.Atoi(args[len(args)-1])
			if err != nil || percent < 0 || percent > 100 {
				return cli.Exit(fmt.Sprintf("pintle strategy canary: %q is no percentage from 0 to 100", args[len(args)-1]), 2)
			}
			return changeBinding(c, args[0], func(_ context.Context, _ *strategyAPI, b *pintle.StrategyBinding) (map[string]any, error) {
				candidate := map[string]any{"percent": percent, "shadow": nil}
				switch {
				case len(args) == 3:
					candidate["strategy"] = args[1]
				case b.Spec.Candidate == nil:
					return nil, errNoCandidate
				}
				return map[string]any{"candidate": candidate}, nil
			}, fmt.Sprintf("the candidate decides about %d%%", percent))
		},
	}
}

func strategyPromoteCommand() *cli.Command {
	return &cli.Command{
		Name: "promote", Usage: "Have the candidate of a binding decide about everything", ArgsUsage: "BINDING", Flags: strategyFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			return changeBinding(c, args[0], func(ctx context.Context, api *strategyAPI, b *pintle.StrategyBinding) (map[string]any, error) {
				if b.Spec.Candidate == nil {
					return nil, errNoCandidate
				}
				if _, err := api.ready(ctx, b.Spec.Candidate.Strategy); err != nil {
					return nil, err
				}
				return map[string]any{"strategy": b.Spec.Candidate.Strategy, "candidate": nil}, nil
			}, "the candidate decides")
		},
	}
}

func strategyRollbackCommand() *cli.Command {
	return &cli.Command{
		Name: "rollback", Usage: "End a trial, or go back to the strategy that decided before", ArgsUsage: "BINDING", Flags: strategyFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			return changeBinding(c, args[0], func(_ context.Context, _ *strategyAPI, b *pintle.StrategyBinding) (map[string]any, error) {
				switch {
				case b.Spec.Candidate != nil && b.Spec.Strategy != "":
					return map[string]any{"candidate": nil}, nil
				case b.Status.Previous != nil && b.Status.Previous.Strategy != b.Spec.Strategy:
					return map[string]any{"strategy": b.Status.Previous.Strategy, "candidate": nil}, nil
				}
				return nil, fmt.Errorf("nothing decided before; `pintle delete strategybinding %s` brings the built-in strategy back", b.Name)
			}, "rolled back")
		},
	}
}

// changeBinding makes one write to a binding, waits until it is in force, and says so.
func changeBinding(c *cli.Context, name string, change func(context.Context, *strategyAPI, *pintle.StrategyBinding) (map[string]any, error), done string) error {
	api, err := openStrategies(c)
	if err != nil {
		return err
	}
	b, err := api.binding(c.Context, name)
	if err != nil {
		return err
	}
	spec, err := change(c.Context, api, b)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Command.Name, name, err)
	}
	if err := api.rebind(c.Context, b, spec); err != nil {
		return err
	}
	if b, err = api.bound(c.Context, name); err != nil {
		return err
	}
	return printf(c, "binding %s: %s; %s\n", name, done, whoDecides(b))
}

func whoDecides(b *pintle.StrategyBinding) string {
	out := "the built-in strategy decides"
	if b.Spec.Strategy != "" {
		out = b.Spec.Strategy + " decides"
	}
	switch t := b.Spec.Candidate; {
	case t == nil:
	case t.Shadow:
		out += ", " + t.Strategy + " is compared"
	default:
		out += fmt.Sprintf(", %s for %d%%", t.Strategy, t.Percent)
	}
	return out
}
