package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

// runNodeCommand is how `pintle up` starts its further nodes. It ends when its
// standard input does, that is, with the process that started it.
func runNodeCommand() *cli.Command {
	return &cli.Command{
		Name: "run-node", Hidden: true,
		Flags: []cli.Flag{
			dataFlag(),
			&cli.StringFlag{Name: "name"}, &cli.StringFlag{Name: "ip"}, &cli.StringFlag{Name: "netns"},
			overlayFlag(), &cli.StringFlag{Name: "log-level", Value: "info"},
		},
		Action: func(c *cli.Context) error {
			log, err := newLogger(c.App.ErrWriter, c.String("log-level"))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(c.Context)
			defer cancel()
			go func() {
				_, _ = io.Copy(io.Discard, c.App.Reader)
				cancel()
			}()
			return app.RunNodeProcess(ctx, app.NodeProcess{
				Name: c.String("name"), IP: c.String("ip"), Netns: c.String("netns"), DataDir: c.String("data"), Overlay: c.Bool("overlay"),
			}, log)
		},
	}
}
