package command

import (
	"github.com/urfave/cli/v2"
)

func upCommand() *cli.Command {
	return &cli.Command{
		Name: "up", Usage: "Start a whole cluster on this machine", ArgsUsage: " ",
		Flags: append(clusterFlags(),
			&cli.IntFlag{Name: "nodes", Usage: "run `N` nodes with containers", Value: 1},
			overlayFlag(),
			&cli.BoolFlag{Name: "detach", Usage: "return once the cluster is ready and leave it running"},
		),
		Action: func(c *cli.Context) error {
			cfg, err := clusterConfig(c)
			if err != nil {
				return err
			}
			cfg.Nodes, cfg.Overlay = c.Int("nodes"), c.Bool("overlay")
			return runOrDetach(c, cfg)
		},
	}
}
