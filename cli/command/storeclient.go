package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pintle-io/pintle/cli/app"
)

// The store of a running cluster is administered through its API, that of a stopped
// one in its data directory. Which it is, the lock of the data directory tells.

// storeClient reaches the store of a running cluster; nil if none runs on the data
// directory. --kubeconfig names a cluster anywhere.
func storeClient(c *cli.Context, data string) (rest.Interface, error) {
	file := c.String("kubeconfig")
	if file == "" {
		pid, err := app.StoreRunning(data)
		if err != nil || pid == 0 {
			return nil, err
		}
		file = app.KubeconfigFile(data)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("reach the running cluster by %s: %w", file, err)
	}
	// Verifying and exporting take as long as there are bytes.
	cfg.Timeout = 24 * time.Hour
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return client.RESTClient(), nil
}

// dataAndClient is the data directory of the command line, and the client of the store
// that runs on it, nil if none does.
func dataAndClient(c *cli.Context) (data string, client rest.Interface, err error) {
	if data, err = dataDir(c); err == nil {
		client, err = storeClient(c, data)
	}
	return data, client, err
}

// call sends a request below the store's path and decodes the answer.
func call(ctx context.Context, client rest.Interface, verb, path string, params map[string]string, answer any) error {
	req := client.Verb(verb).AbsPath(app.StorePath + path)
	for name, value := range params {
		req = req.Param(name, value)
	}
	raw, err := req.DoRaw(ctx)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, answer)
}

// stopped refuses what needs a stopped cluster while one runs.
func stopped(data, what string) error {
	pid, err := app.StoreRunning(data)
	if err != nil || pid == 0 {
		return err
	}
	return fmt.Errorf("%s needs a stopped cluster, but process %d runs on %s; stop it with `pintle down --data %s`", what, pid, data, data)
}

func oneArgument(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", cli.Exit(fmt.Sprintf("%s: want %s; see `%s --help`", c.Command.HelpName, what, c.Command.HelpName), 2)
	}
	return c.Args().First(), nil
}

func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return cli.Exit(fmt.Sprintf("%s takes flags only, not %q", c.Command.HelpName, c.Args().First()), 2)
	}
	return nil
}

func kubeconfigFlag() cli.Flag {
	return &cli.StringFlag{Name: "kubeconfig", Usage: "use the running cluster that `FILE` names"}
}

// copyStream copies an answer that is as long as the store is large.
func copyStream(ctx context.Context, client rest.Interface, path string, params map[string]string, w io.Writer) error {
	req := client.Get().AbsPath(app.StorePath + path)
	for name, value := range params {
		req = req.Param(name, value)
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return errors.Join(err, body.Close())
}

func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}
