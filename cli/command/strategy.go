package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/pintle-io/pintle/cli/authoring"
	"github.com/pintle-io/pintle/engine/apis/pintle"
)

func strategyCommand() *cli.Command {
	commands := []*cli.Command{
		strategyNewCommand(), strategyBuildCommand(), strategyTestCommand(), strategyBenchCommand(),
		strategyPushCommand(), strategyInstallCommand(), strategyShadowCommand(), strategyCanaryCommand(),
		strategyPromoteCommand(), strategyRollbackCommand(), strategyListCommand(), strategyStatusCommand(),
	}
	for _, c := range commands {
		c.OnUsageError = usageError
	}
	return &cli.Command{
		Name: "strategy", Usage: "Write, try, and roll out strategies: modules that decide", Subcommands: commands,
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return cli.ShowSubcommandHelp(c)
			}
			return cli.Exit(fmt.Sprintf("pintle strategy: there is no command %q; `pintle strategy --help` lists them", c.Args().First()), 2)
		},
	}
}

// arguments are the operands, of which there must be between least and most.
func arguments(c *cli.Context, least, most int) ([]string, error) {
	if n := c.NArg(); n < least || n > most {
		return nil, cli.Exit(fmt.Sprintf("%s: want %s; see `%s --help`", c.Command.HelpName, c.Command.ArgsUsage, c.Command.HelpName), 2)
	}
	return c.Args().Slice(), nil
}

// project is the strategy in the directory that the only operand names, or here.
func project(c *cli.Context) (*authoring.Project, error) {
	args, err := arguments(c, 0, 1)
	if err != nil {
		return nil, err
	}
	return authoring.Open(append(args, ".")[0])
}

// settlePatience bounds how long a command waits for the server to do as it asks.
const settlePatience = time.Minute

func strategyFlags(more ...cli.Flag) []cli.Flag {
	return append(more, &cli.StringFlag{Name: "kubeconfig", Usage: "use the cluster that `FILE` names"})
}

// strategyAPI reads and changes the Strategies of a cluster.
type strategyAPI struct{ client dynamic.Interface }

func openStrategies(c *cli.Context) (*strategyAPI, error) {
	cfg, _, err := clusterOf(c)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &strategyAPI{client}, nil
}

func (a *strategyAPI) strategy(ctx context.Context, name string) (*pintle.Strategy, error) {
	u, err := a.client.Resource(pintle.Strategies).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return pintle.StrategyOf(u)
}

func (a *strategyAPI) binding(ctx context.Context, name string) (*pintle.StrategyBinding, error) {
	u, err := a.client.Resource(pintle.StrategyBindings).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return pintle.BindingOf(u)
}

// apply creates an object or makes its spec what is said.
func (a *strategyAPI) apply(ctx context.Context, gvr schema.GroupVersionResource, kind, name string, spec map[string]any) error {
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": name}, "spec": spec}}
	u.SetGroupVersionKind(pintle.GroupVersion.WithKind(kind))
	if _, err := a.client.Resource(gvr).Apply(ctx, name, u, metav1.ApplyOptions{FieldManager: "pintle-strategy", Force: true}); err != nil {
		return fmt.Errorf("apply %s %s: %w", kind, name, err)
	}
	return nil
}

// rebind changes a binding's spec in one write, which fails if another one came
// between.
func (a *strategyAPI) rebind(ctx context.Context, b *pintle.StrategyBinding, spec map[string]any) error {
	raw, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": b.ResourceVersion}, "spec": spec})
	if err != nil {
		return err
	}
	if _, err := a.client.Resource(pintle.StrategyBindings).Patch(ctx, b.Name, types.MergePatchType, raw, metav1.PatchOptions{FieldManager: "pintle-strategy"}); err != nil {
		return fmt.Errorf("change StrategyBinding %s: %w", b.Name, err)
	}
	return nil
}

// ready waits until the server has loaded a Strategy as its spec says.
func (a *strategyAPI) ready(ctx context.Context, name string) (*pintle.Strategy, error) {
	var s *pintle.Strategy
	err := until(ctx, func(ctx context.Context) (bool, error) {
		var err error
		if s, err = a.strategy(ctx, name); err != nil {
			return false, err
		}
		r := condition(s.Status.Conditions, pintle.Ready)
		if r == nil || s.Status.ObservedGeneration != s.Generation {
			return false, nil
		}
		if r.Status != metav1.ConditionTrue {
			return false, fmt.Errorf("the server does not take Strategy %s: %s: %s", name, r.Reason, r.Message)
		}
		return true, nil
	})
	if wait.Interrupted(err) {
		err = fmt.Errorf("Strategy %s is not loaded after %s; `pintle strategy status %s` says how it stands", name, settlePatience, name)
	}
	return s, err
}

// bound waits until the server acts on a binding as its spec says.
func (a *strategyAPI) bound(ctx context.Context, name string) (*pintle.StrategyBinding, error) {
	var b *pintle.StrategyBinding
	var why string
	err := until(ctx, func(ctx context.Context) (bool, error) {
		var err error
		if b, err = a.binding(ctx, name); err != nil {
			return false, err
		}
		r := condition(b.Status.Conditions, pintle.Ready)
		if r != nil {
			why = r.Message
		}
		return r != nil && r.Status == metav1.ConditionTrue && b.Status.ObservedGeneration == b.Generation, nil
	})
	if wait.Interrupted(err) {
		err = fmt.Errorf("StrategyBinding %s is not in force after %s: %s", name, settlePatience, why)
	}
	return b, err
}

func until(ctx context.Context, done wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, settlePatience, true, done)
}

func condition(all []metav1.Condition, kind string) *metav1.Condition {
	for i := range all {
		if all[i].Type == kind {
			return &all[i]
		}
	}
	return nil
}

// printf writes to the command's output.
func printf(c *cli.Context, format string, args ...any) error {
	_, err := fmt.Fprintf(c.App.Writer, format, args...)
	return err
}

var errNoCandidate = errors.New("it has no candidate; `pintle strategy shadow` or `canary` puts one on trial")
