package command

import (
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

// nodeCommand stops nodes of `pintle up --nodes N` or cuts them off, for tests and
// demonstrations.
func nodeCommand() *cli.Command {
	verb := func(name, usage, done string, act func(c *cli.Context, data, node string, log *slog.Logger) error) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usage, ArgsUsage: "NAME",
			Flags: []cli.Flag{dataFlag(), &cli.StringFlag{Name: "log-level", Value: "warn", Usage: "debug, info, warn or error"}},
			Action: func(c *cli.Context) error {
				if c.NArg() != 1 {
					return cli.Exit(fmt.Sprintf("pintle node %s takes the name of one node; `pintle get nodes` lists them", name), 2)
				}
				data, err := dataDir(c)
				if err != nil {
					return err
				}
				log, err := newLogger(c.App.ErrWriter, c.String("log-level"))
				if err != nil {
					return err
				}
				node := c.Args().First()
				if err := act(c, data, node, log); err != nil {
					return err
				}
				fmt.Fprintf(c.App.Writer, "node %s %s\n", node, done)
				return nil
			},
		}
	}
	return &cli.Command{
		Name: "node", Usage: "Stop a node of this machine or cut it off, and undo that",
		Subcommands: []*cli.Command{
			verb("stop", "End a node's agent and its containers, as switching a machine off does", "is stopped; start it with `pintle node start`",
				func(c *cli.Context, data, node string, log *slog.Logger) error {
					return app.StopNode(c.Context, data, node, log)
				}),
			verb("start", "Run a stopped node again", "starts",
				func(_ *cli.Context, data, node string, _ *slog.Logger) error { return app.StartNode(data, node) }),
			verb("cut", "Cut a node off from the cluster and all other nodes; its containers run on", "is cut off; heal it with `pintle node heal`",
				func(_ *cli.Context, data, node string, _ *slog.Logger) error {
					return app.LinkNode(data, node, false)
				}),
			verb("heal", "Connect a node that was cut off", "is connected",
				func(_ *cli.Context, data, node string, _ *slog.Logger) error { return app.LinkNode(data, node, true) }),
		},
	}
}
