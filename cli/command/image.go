package command

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

func imageCommand() *cli.Command {
	return &cli.Command{
		Name: "image", Usage: "Manage the images on this machine's nodes",
		Subcommands: []*cli.Command{{
			Name: "import", Usage: "Load the images of an OCI or docker archive into every node", ArgsUsage: "FILE...",
			Flags: []cli.Flag{dataFlag()},
			Action: func(c *cli.Context) error {
				if c.NArg() == 0 {
					return cli.Exit("pintle image import: name at least one archive (`docker save` and `skopeo copy ... oci-archive:FILE` make them)", 2)
				}
				data, err := dataDir(c)
				if err != nil {
					return err
				}
				for _, file := range c.Args().Slice() {
					names, err := app.ImportImages(c.Context, data, file)
					if err != nil {
						return err
					}
					for _, name := range names {
						fmt.Fprintln(c.App.Writer, "imported", name)
					}
				}
				return nil
			},
		}},
	}
}
