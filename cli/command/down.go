package command

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

func downCommand() *cli.Command {
	return &cli.Command{
		Name: "down", Usage: "Stop the cluster and remove its containers, networks and mounts; its data stays", ArgsUsage: " ",
		Flags: []cli.Flag{dataFlag(), &cli.StringFlag{Name: "log-level", Value: "warn", Usage: "debug, info, warn or error"}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cli.Exit(fmt.Sprintf("pintle down takes flags only, not %q; see `pintle down --help`", c.Args().First()), 2)
			}
			data, err := dataDir(c)
			if err != nil {
				return err
			}
			log, err := newLogger(c.App.ErrWriter, c.String("log-level"))
			if err != nil {
				return err
			}
			report, err := app.Down(c.Context, data, log)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, report)
			return nil
		},
	}
}
