package command

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

func strategyInstallCommand() *cli.Command {
	return &cli.Command{
		Name: "install", Usage: "Have a cluster load a strategy, and decide by it", ArgsUsage: "NAME REFERENCE",
		Description: "REFERENCE is what push printed. A StrategyBinding of the same name is made that covers what the flags say,\n" +
			"unless it is there; --no-binding makes none, for a strategy that is to be a candidate.",
		Flags: strategyFlags(
			&cli.StringFlag{Name: "type", Usage: "`TYPE` of its decisions: Scheduling, Autoscaling or Rollout", Value: "Scheduling"},
			&cli.BoolFlag{Name: "plain-http", Usage: "the server speaks without TLS to a registry on its machine"},
			&cli.StringFlag{Name: "public-key", Usage: "it must be signed by the key in `FILE` (PEM)"},
			&cli.StringSliceFlag{Name: "scheduler-name", Usage: "decide about pods with this schedulerName `S`; may be repeated (default: pods of default-scheduler)"},
			&cli.StringSliceFlag{Name: "for-namespace", Usage: "decide in namespace `NS` alone; may be repeated"},
			&cli.BoolFlag{Name: "no-binding", Usage: "load it, but have it decide about nothing"},
		),
		Action: runStrategyInstall,
	}
}

func runStrategyInstall(c *cli.Context) error {
	args, err := arguments(c, 2, 2)
	if err != nil {
		return err
	}
	name, reference := args[0], args[1]
	oci := map[string]any{"reference": reference}
	if c.Bool("plain-http") {
		oci["plainHTTP"] = true
	}
	if file := c.String("public-key"); file != "" {
		key, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--public-key: %w", err)
		}
		oci["publicKey"] = string(key)
	}
	api, err := openStrategies(c)
	if err != nil {
		return err
	}
	spec := map[string]any{"type": c.String("type"), "module": map[string]any{"oci": oci}}
	if err := api.apply(c.Context, pintle.Strategies, "Strategy", name, spec); err != nil {
		return err
	}
	s, err := api.ready(c.Context, name)
	if err != nil {
		return err
	}
	if s.Status.Active == nil {
		return errors.New("the server says that it is ready, but not what is loaded")
	}
	if err := printf(c, "strategy %s: loaded %s\n", name, s.Status.Active.Digest); err != nil || c.Bool("no-binding") {
		return err
	}
	b, err := api.bind(c, name)
	if err != nil {
		return err
	}
	return printf(c, "binding %s: %s\n", name, whoDecides(b))
}

// bind makes the binding of a strategy's own name, if there is none, and waits for it.
func (a *strategyAPI) bind(c *cli.Context, name string) (*pintle.StrategyBinding, error) {
	_, err := a.binding(c.Context, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if err != nil {
		spec := map[string]any{"type": c.String("type"), "strategy": name}
		for field, flag := range map[string]string{"schedulerNames": "scheduler-name", "namespaces": "for-namespace"} {
			if values := c.StringSlice(flag); len(values) > 0 {
				spec[field] = anys(values)
			}
		}
		if err := a.apply(c.Context, pintle.StrategyBindings, "StrategyBinding", name, spec); err != nil {
			return nil, err
		}
	}
	return a.bound(c.Context, name)
}

func anys(values []string) []any {
	var out []any
	for _, v := range values {
		out = append(out, v)
	}
	return out
}
