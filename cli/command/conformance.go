package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/conformance/cases"
	"github.com/pintle-io/pintle/conformance/suite"
)

func conformanceCommand() *cli.Command {
	return &cli.Command{
		Name: "conformance", Usage: "Hold a cluster to its promises",
		Subcommands: []*cli.Command{{
			Name: "run", Usage: "Run the cases against a cluster and report", ArgsUsage: "[CASE...]",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "kubeconfig", EnvVars: []string{"KUBECONFIG"}, Value: app.KubeconfigFile(app.DefaultDataDir()), Usage: "the cluster"},
				&cli.StringFlag{Name: "kubectl", Value: "kubectl", Usage: "the kubectl to drive"},
				&cli.StringFlag{Name: "image", Usage: "a busybox `IMAGE` that is present on every node; without it cases that need containers are skipped"},
				&cli.StringFlag{Name: "report", Usage: "write report.json and junit.xml into `DIR`"},
			},
			Action: runConformance,
		}, {
			Name: "list", Usage: "List the cases and what they promise", ArgsUsage: " ",
			Action: func(c *cli.Context) error {
				for _, cs := range cases.All() {
					fmt.Fprintf(c.App.Writer, "%-30s %s\n", cs.Name, cs.Promise)
				}
				return nil
			},
		}},
	}
}

func runConformance(c *cli.Context) error {
	selected := cases.All()
	if c.NArg() > 0 {
		selected = slices.DeleteFunc(selected, func(cs suite.Case) bool { return !slices.Contains(c.Args().Slice(), cs.Name) })
		if len(selected) == 0 {
			return cli.Exit("pintle conformance run: no such case; `pintle conformance list` names them", 2)
		}
	}
	features, err := clusterFeatures(c.Context, c.String("kubeconfig"), c.String("image"))
	if err != nil {
		return err
	}
	runner, err := suite.NewRunner(suite.Options{
		Kubeconfig: c.String("kubeconfig"), Kubectl: c.String("kubectl"), Image: c.String("image"), Features: features,
		Done: func(r suite.Result) { fmt.Fprintf(c.App.Writer, "%-8s %6.1fs  %s\n", r.State, r.Seconds, r.Name) },
	})
	if err != nil {
		return err
	}
	report := runner.Run(c.Context, selected)
	fmt.Fprintln(c.App.Writer)
	if err := report.WriteTable(c.App.Writer); err != nil {
		return err
	}
	if dir := c.String("report"); dir != "" {
		if err := writeReport(report, dir); err != nil {
			return err
		}
	}
	if report.Failed() {
		return cli.Exit("", 1)
	}
	return nil
}

// clusterFeatures asks the cluster what it offers.
func clusterFeatures(ctx context.Context, kubeconfig, image string) ([]suite.Feature, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	groups, err := client.Discovery().ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its API groups: %w", err)
	}
	var features []suite.Feature
	for _, g := range groups.Groups {
		switch {
		case g.Name == "decisions.pintle.io":
			features = append(features, suite.Decisions)
		case strings.HasSuffix(g.Name, "templates.gatekeeper.sh"):
			features = append(features, suite.Policies)
		}
	}
	if image != "" {
		features = append(features, suite.Containers)
	}
	classes, err := client.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list ingress classes: %w", err)
	}
	if slices.ContainsFunc(classes.Items, func(c networkingv1.IngressClass) bool {
		return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}) {
		features = append(features, suite.Ingress)
	}
	ranges, err := client.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list service ranges: %w", err)
	}
	if slices.ContainsFunc(ranges.Items, func(r networkingv1.ServiceCIDR) bool { return len(r.Spec.CIDRs) == 2 }) {
		features = append(features, suite.DualStack)
	}
	return features, nil
}

func writeReport(report *suite.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(*os.File) error{
		"report.json": func(f *os.File) error { return report.WriteJSON(f) },
		"junit.xml":   func(f *os.File) error { return report.WriteJUnit(f) },
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := write(f); err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
