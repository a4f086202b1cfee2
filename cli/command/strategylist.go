package command

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

func strategyListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "Show the strategies of a cluster, and what they decide about", Flags: strategyFlags(),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			api, err := openStrategies(c)
			if err != nil {
				return err
			}
			strategies, bindings, err := api.list(c.Context)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(c.App.Writer, 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "STRATEGY\tTYPE\tREADY\tDECIDES FOR\tON TRIAL FOR\tCALLS\tFAILURES")
			for _, s := range strategies {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\n", s.Name, s.Spec.Type, readiness(s.Status.Conditions),
					namesOf(bindings, func(b *pintle.StrategyBinding) bool { return b.Spec.Strategy == s.Name }),
					namesOf(bindings, func(b *pintle.StrategyBinding) bool {
						return b.Spec.Candidate != nil && b.Spec.Candidate.Strategy == s.Name
					}), s.Status.Calls, s.Status.Failures)
			}
			return w.Flush()
		},
	}
}

func (a *strategyAPI) list(ctx context.Context) ([]*pintle.Strategy, []*pintle.StrategyBinding, error) {
	all, err := a.client.Resource(pintle.Strategies).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, err
	}
	var strategies []*pintle.Strategy
	for i := range all.Items {
		s, err := pintle.StrategyOf(&all.Items[i])
		if err != nil {
			return nil, nil, err
		}
		strategies = append(strategies, s)
	}
	if all, err = a.client.Resource(pintle.StrategyBindings).List(ctx, metav1.ListOptions{}); err != nil {
		return nil, nil, err
	}
	var bindings []*pintle.StrategyBinding
	for i := range all.Items {
		b, err := pintle.BindingOf(&all.Items[i])
		if err != nil {
			return nil, nil, err
		}
		bindings = append(bindings, b)
	}
	return strategies, bindings, nil
}

// namesOf are the names of some bindings, with commas, or a dash.
func namesOf(bindings []*pintle.StrategyBinding, which func(*pintle.StrategyBinding) bool) string {
	names := ""
	for _, b := range bindings {
		if which(b) {
			if names != "" {
				names += ","
			}
			names += b.Name
		}
	}
	if names == "" {
		return "-"
	}
	return names
}

// readiness is one word for people.
func readiness(conditions []metav1.Condition) string {
	if f := condition(conditions, pintle.FallenBack); f != nil && f.Status == metav1.ConditionTrue {
		return "FallenBack"
	}
	r := condition(conditions, pintle.Ready)
	switch {
	case r == nil:
		return "Unknown"
	case r.Status == metav1.ConditionTrue:
		return "Ready"
	}
	return r.Reason
}
