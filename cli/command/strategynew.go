package command

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/authoring"
)

func strategyNewCommand() *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "Begin a strategy in Go, in a directory of its name", ArgsUsage: strings.Join(authoring.Kinds(), "|") + " NAME",
		Flags: []cli.Flag{&cli.StringFlag{Name: "dir", Usage: "make `DIR` instead"}},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 2, 2)
			if err != nil {
				return err
			}
			dir := c.String("dir")
			if dir == "" {
				dir = args[1]
			}
			p, err := authoring.Create(dir, args[0], args[1])
			if err != nil {
				return err
			}
			return printf(c, "%s: a strategy of type %s; main.go decides, main_test.go tries it\n", dir, p.Type)
		},
	}
}
