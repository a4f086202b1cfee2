package command

import (
	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/authoring"
	"github.com/pintle-io/pintle/wasm/meter"
)

// checkNodes is the size of the cluster that a module is checked against.
const checkNodes = 5000

func strategyBuildCommand() *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "Compile a strategy with Go, and check it within the server's limits", ArgsUsage: "[DIR]",
		Action: func(c *cli.Context) error {
			p, err := project(c)
			if err != nil {
				return err
			}
			if err := p.Build(c.Context, c.App.ErrWriter); err != nil {
				return err
			}
			t, err := p.Try(c.Context, checkNodes, 20)
			if err != nil {
				return err
			}
			return printTrial(c, p, t)
		},
	}
}

func strategyTestCommand() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "Run a strategy's own tests, natively", ArgsUsage: "[DIR]",
		Action: func(c *cli.Context) error {
			p, err := project(c)
			if err != nil {
				return err
			}
			return p.Test(c.Context, c.App.Writer)
		},
	}
}

func strategyBenchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "Measure a strategy's calls in the sandbox", ArgsUsage: "[DIR]",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "nodes", Usage: "a scheduling strategy chooses among `N` nodes", Value: checkNodes},
			&cli.IntFlag{Name: "calls", Usage: "make `N` calls", Value: 1000},
		},
		Action: func(c *cli.Context) error {
			p, err := project(c)
			if err != nil {
				return err
			}
			const most = 100_000
			if n, calls := c.Int("nodes"), c.Int("calls"); n < 1 || n > most || calls < 1 {
				return cli.Exit("pintle strategy bench: --nodes is 1 to 100000, and --calls at least 1", 2)
			}
			t, err := p.Try(c.Context, c.Int("nodes"), c.Int("calls"))
			if err != nil {
				return err
			}
			if err := printTrial(c, p, t); err != nil {
				return err
			}
			return printf(c, "time    %v p50, %v p99 of %d calls\n", authoring.Quantile(t.Took, 0.5), authoring.Quantile(t.Took, 0.99), len(t.Took))
		},
	}
}

func printTrial(c *cli.Context, p *authoring.Project, t *authoring.Trial) error {
	return printf(c, "%s: %s, ABI %s\ndigest  %s\nsize    %s of %s\nfuel    %d p50, %d p99 of %d a call\n",
		p.Module(), p.Type, t.ABI, t.Digest, bytesOf(int64(t.Bytes)), bytesOf(int64(meter.DefaultLimits().ModuleBytes)),
		authoring.Quantile(t.Fuel, 0.5), authoring.Quantile(t.Fuel, 0.99), t.Budget)
}
