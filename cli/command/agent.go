package command

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

func agentCommand() *cli.Command {
	return &cli.Command{
		Name: "agent", Usage: "Run one node for a server elsewhere", ArgsUsage: " ",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "the agent's `DIR`", Value: app.DefaultDataDir() + "-agent"},
			&cli.StringFlag{Name: "server", Usage: "the API server's `URL`", Required: true},
			&cli.StringFlag{Name: "token", Usage: "the `TOKEN` that `pintle token` printed; needed the first time", EnvVars: []string{"PINTLE_TOKEN"}},
			&cli.StringFlag{Name: "node-name", Usage: "the node's `NAME` (default: the machine's)"},
			&cli.StringFlag{Name: "node-ip", Usage: "the node's `ADDRESS`, or one of IPv4 and one of IPv6 with a comma between (default: the one the server is reached from)"},
			overlayFlag(),
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info"},
		},
		Action: func(c *cli.Context) error {
			data, err := dataDir(c)
			if err != nil {
				return err
			}
			cfg := app.AgentConfig{
				DataDir: data, Server: c.String("server"), Token: c.String("token"),
				NodeName: c.String("node-name"), NodeIP: c.String("node-ip"), Overlay: c.Bool("overlay"),
			}
			if err := cfg.Validate(); err != nil {
				return cli.Exit("pintle agent: "+err.Error(), 2)
			}
			log, err := newLogger(c.App.ErrWriter, c.String("log-level"))
			if err != nil {
				return err
			}
			return app.RunAgent(c.Context, cfg, log)
		},
	}
}

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "Make a token for a machine to join with", ArgsUsage: " ",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kubeconfig", EnvVars: []string{"KUBECONFIG"}, Value: app.KubeconfigFile(app.DefaultDataDir()), Usage: "the cluster"},
			&cli.DurationFlag{Name: "for", Value: 24 * time.Hour, Usage: "how long the token is good"},
		},
		Action: func(c *cli.Context) error {
			server, token, err := app.NewJoinToken(c.Context, c.String("kubeconfig"), c.Duration("for"))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "pintle agent --server %s --token %s\n", server, token)
			return nil
		},
	}
}
