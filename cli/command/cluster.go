package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
)

func clusterFlags() []cli.Flag {
	return append([]cli.Flag{
		dataFlag(),
		&cli.StringFlag{Name: "listen", Usage: "serve the API on `ADDR:PORT`", Value: app.DefaultListen},
		&cli.StringFlag{Name: "kubeconfig", Usage: "write the admin kubeconfig to `FILE` (default: kubeconfig in the data directory)"},
		&cli.IntFlag{Name: "fake-nodes", Usage: "add `N` nodes that only report pods as running"},
		&cli.StringFlag{Name: "scheduler-module", Usage: "schedule with the WebAssembly module in `FILE` instead of the built-in one"},
		&cli.StringFlag{Name: "load-balancer-pool", Usage: "give Services of type LoadBalancer addresses of `RANGES` (10.9.0.0/24, 10.9.1.5-10.9.1.9)"},
		&cli.BoolFlag{Name: "dual-stack", Usage: "give nodes and pods IPv6 addresses too, and Services that want them"},
		&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info"},
	}, append(storeFlags(), securityFlags()...)...)
}

func overlayFlag() cli.Flag {
	return &cli.BoolFlag{Name: "overlay", Usage: "carry packets between pods of different nodes in VXLAN, for networks that do not pass them; the same on all nodes"}
}

func clusterConfig(c *cli.Context) (app.Config, error) {
	if c.NArg() > 0 {
		return app.Config{}, cli.Exit(fmt.Sprintf("pintle %s takes flags only, not %q; see `pintle %s --help`", c.Command.Name, c.Args().First(), c.Command.Name), 2)
	}
	data, err := dataDir(c)
	if err != nil {
		return app.Config{}, err
	}
	cfg := app.Config{
		DataDir: data, Listen: c.String("listen"), FakeNodes: c.Int("fake-nodes"), DualStack: c.Bool("dual-stack"),
		SchedulerModule: c.String("scheduler-module"), Security: securityConfig(c), LoadBalancerPool: c.String("load-balancer-pool"),
	}
	if cfg.Store, err = storeConfig(c); err != nil {
		return app.Config{}, err
	}
	for _, path := range []struct {
		flag string
		to   *string
	}{{"kubeconfig", &cfg.Kubeconfig}, {"scheduler-module", &cfg.SchedulerModule}} {
		if name := c.String(path.flag); name != "" {
			if *path.to, err = filepath.Abs(name); err != nil {
				return app.Config{}, fmt.Errorf("--%s %s: %w", path.flag, name, err)
			}
		}
	}
	return cfg, nil
}

// runOrDetach runs the cluster until it is told to stop, or starts it in a
// process of its own and waits until that says it is ready.
func runOrDetach(c *cli.Context, cfg app.Config) error {
	if err := cfg.Validate(); err != nil {
		return cli.Exit("pintle "+c.Command.Name+": "+err.Error(), 2)
	}
	if c.Bool("detach") {
		return detach(c, cfg)
	}
	log, err := newLogger(c.App.ErrWriter, c.String("log-level"))
	if err != nil {
		return err
	}
	// A detached child has a pipe to its parent as descriptor 3.
	notify := func(string) {}
	if os.Getenv(notifyEnv) != "" {
		pipe := os.NewFile(3, "notify")
		notify = func(line string) { fmt.Fprintln(pipe, line); pipe.Close() }
		os.Unsetenv(notifyEnv)
	}
	err = app.Run(c.Context, cfg, log, func(ready app.Ready) {
		printReady(c.App.Writer, ready)
		notify("ready " + ready.URL)
	})
	if err != nil {
		notify("failed " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}

const notifyEnv = "PINTLE_NOTIFY"

// detach starts this program again without --detach, in a session of its own.
func detach(c *cli.Context, cfg app.Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		return a == "--detach" || a == "-detach" || strings.HasPrefix(a, "--detach=")
	})
	logFile := app.LogFile(cfg.DataDir)
	if err := os.MkdirAll(filepath.Dir(logFile), 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer out.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{write}
	cmd.Env = append(os.Environ(), notifyEnv+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	write.Close()
	line, err := bufio.NewReader(read).ReadString('\n')
	switch what, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
	case what == "ready":
		fmt.Fprintf(c.App.Writer, "The cluster answers at %s (process %d, log %s).\n", rest, cmd.Process.Pid, logFile)
		fmt.Fprintf(c.App.Writer, "  export KUBECONFIG=%s\n", cfg.KubeconfigPath())
		return nil
	case what == "failed":
		return errors.New(rest)
	default:
		return fmt.Errorf("the cluster ended before it was ready (%v); see %s", err, logFile)
	}
}

func printReady(w io.Writer, r app.Ready) {
	fmt.Fprintf(w, "Pintle %s is ready at %s after %s.\n", app.Version, r.URL, r.After.Round(1e6))
	fmt.Fprintf(w, "  export KUBECONFIG=%s\n", r.Kubeconfig)
	fmt.Fprintf(w, "  kubectl get nodes\n")
}
