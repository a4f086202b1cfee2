package command

import (
	"github.com/urfave/cli/v2"
)

func serverCommand() *cli.Command {
	return &cli.Command{
		Name: "server", Usage: "Start the control plane alone", ArgsUsage: " ",
		Flags: append(clusterFlags(),
			&cli.BoolFlag{Name: "detach", Usage: "return once the server is ready and leave it running"},
		),
		Action: func(c *cli.Context) error {
			cfg, err := clusterConfig(c)
			if err != nil {
				return err
			}
			return runOrDetach(c, cfg)
		},
	}
}
