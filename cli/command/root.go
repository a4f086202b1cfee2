package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

// Main runs one command line (args[0] is the program) and returns the exit
// status: 0 done, 1 failed, 2 wrong usage.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newApp(in, out, errOut).RunContext(ctx, flagsFirst(args))
	if err == nil {
		return 0
	}
	var exit cli.ExitCoder
	if errors.As(err, &exit) {
		if msg := exit.Error(); msg != "" {
			fmt.Fprintln(errOut, msg)
		}
		return exit.ExitCode()
	}
	fmt.Fprintln(errOut, "pintle:", err)
	return 1
}

func newApp(in io.Reader, out, errOut io.Writer) *cli.App {
	a := cli.NewApp()
	a.Name = "pintle"
	a.Usage = "Kubernetes you can explain"
	a.Version = app.Version
	a.Reader, a.Writer, a.ErrWriter = in, out, errOut
	a.ExitErrHandler = func(*cli.Context, error) {}
	a.OnUsageError = usageError
	a.EnableBashCompletion = true
	a.Commands = append([]*cli.Command{
		upCommand(),
		downCommand(),
		serverCommand(),

		agentCommand(),
		tokenCommand(),
		nodeCommand(),
		imageCommand(),
		whyCommand(),
		whyNotCommand(),
		historyCommand(),
		strategyCommand(),
		snapshotCommand(),
		storeCommand(),
		runNodeCommand(),

		conformanceCommand(),
	}, kubectlCommands()...)

	for _, c := range a.Commands {
		c.OnUsageError = usageError
	}
	a.Action = func(c *cli.Context) error {
		if c.NArg() == 0 {
			return cli.ShowAppHelp(c)
		}
		return cli.Exit(fmt.Sprintf("pintle: there is no command %q; `pintle help` lists them", c.Args().First()), 2)
	}
	return a
}

func usageError(c *cli.Context, err error, _ bool) error {
	name := "pintle"
	if c.Command != nil && c.Command.Name != "" {
		name = "pintle " + c.Command.Name
	}
	return cli.Exit(fmt.Sprintf("%s: %v; `%s --help` lists its flags", name, err, name), 2)
}

// dataFlag is shared by every verb that works on a cluster's directory.
func dataFlag() *cli.StringFlag {
	return &cli.StringFlag{
		Name: "data", Usage: "the cluster's `DIR`", EnvVars: []string{"PINTLE_DATA"},
		Value: app.DefaultDataDir(),
	}
}

// dataDir returns the absolute directory that --data names.
func dataDir(c *cli.Context) (string, error) {
	dir, err := filepath.Abs(c.String("data"))
	if err != nil {
		return "", fmt.Errorf("--data %s: %w", c.String("data"), err)
	}
	return dir, nil
}
