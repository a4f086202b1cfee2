package command

import (
	"cmp"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

func strategyStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "Show how a strategy does", ArgsUsage: "NAME", Flags: strategyFlags(),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			api, err := openStrategies(c)
			if err != nil {
				return err
			}
			s, err := api.strategy(c.Context, args[0])
			if err != nil {
				return err
			}
			_, bindings, err := api.list(c.Context)
			if err != nil {
				return err
			}
			return printStrategy(c, s, bindings)
		},
	}
}

func printStrategy(c *cli.Context, s *pintle.Strategy, bindings []*pintle.StrategyBinding) error {
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", what, fmt.Sprintf(format, args...)) }
	line("strategy", "%s (%s)", s.Name, s.Spec.Type)
	line("module", "%s", &s.Spec.Module)
	line("state", "%s", readiness(s.Status.Conditions))
	for _, kind := range []string{pintle.Ready, pintle.FallenBack} {
		if r := condition(s.Status.Conditions, kind); r != nil && (kind == pintle.Ready) != (r.Status == "True") {
			line("why", "%s", r.Message)
		}
	}
	if a := s.Status.Active; a != nil {
		line("digest", "%s", a.Digest)
	}
	if p := s.Status.Previous; p != nil {
		line("previous", "%s", p.Digest)
	}
	line("calls", "%d, %d failed", s.Status.Calls, s.Status.Failures)
	if s.Status.LastFailure != "" {
		line("last failure", "%s", s.Status.LastFailure)
	}
	if l := s.Status.Latency; l != nil {
		line("time", "%s p50, %s p99", l.P50, l.P99)
	}
	if f := s.Status.Fuel; f != nil {
		line("fuel", "%d p50, %d p99", f.P50, f.P99)
	}
	if t := s.Status.Shadow; t != nil {
		line("in the shadow", "%d answers agreed, %d differed", t.Agreed, t.Differed)
	}
	for _, b := range bindings {
		switch t := b.Spec.Candidate; {
		case b.Spec.Strategy == s.Name:
			line("decides for", "binding %s", b.Name)
		case t != nil && t.Strategy == s.Name && t.Shadow:
			line("on trial for", "binding %s, in the shadow of %s", b.Name, cmp.Or(b.Spec.Strategy, "the built-in strategy"))
		case t != nil && t.Strategy == s.Name:
			line("on trial for", "binding %s, for %d%%, beside %s", b.Name, t.Percent, cmp.Or(b.Spec.Strategy, "the built-in strategy"))
		}
	}
	return w.Flush()
}
