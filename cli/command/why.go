package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/engine/decision"
)

func whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", Usage: "Explain what was decided about an object, or what was denied", ArgsUsage: "KIND/NAME | denied",
		Description: "why denied lists what authorization and admission refused of late, in all namespaces unless -n names one.",
		Flags:       append(decisionFlags(), &cli.IntFlag{Name: "limit", Usage: "show the newest `N`", Value: 20}),
		Action:      runWhy,
	}
}

func whyNotCommand() *cli.Command {
	return &cli.Command{
		Name: "why-not", Usage: "Explain what speaks against a pod on a node", ArgsUsage: "pod/NAME node/NAME",
		Flags: decisionFlags(), Action: runWhyNot,
	}
}

func decisionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the object's `NAMESPACE` (default: that of the kubeconfig)"},
		&cli.StringFlag{Name: "kubeconfig", Usage: "use the cluster that `FILE` names"},
	}
}

// operandAt is where the operands of a verb begin, for verbs that take some.
var operandAt = map[string]int{"why": 2, "why-not": 2, "history": 2, "snapshot": 3, "store": 3, "strategy": 3}

// flagsFirst moves the operands behind the flags, which may follow them as they do
// with kubectl: the flag package stops at the first word that is none.
func flagsFirst(args []string) []string {
	if len(args) < 2 {
		return args
	}
	at := operandAt[args[1]]
	if at == 0 || at >= len(args) {
		return args
	}
	end := at
	for end < len(args) && (!strings.HasPrefix(args[end], "-") || args[end] == "-") {
		end++
	}
	return slices.Concat(args[:at], args[end:], args[at:end])
}

func runWhy(c *cli.Context) error {
	object := c.Args().First()
	if object == "denied" && c.NArg() == 1 {
		return runWhyDenied(c)
	}
	kind, name, ok := strings.Cut(object, "/")
	if c.NArg() != 1 || !ok || kind == "" || name == "" {
		return cli.Exit("pintle why: name one object, for example `pintle why pod/web-0`, or ask `pintle why denied`", 2)
	}
	api, err := openDecisions(c)
	if err != nil {
		return err
	}
	var decided, denied decision.List
	about := map[string]string{"object": object, "limit": c.String("limit")}
	if err := api.get(c.Context, api.namespace, "decisions", about, &decided); err != nil {
		return fmt.Errorf("read the decisions about %s in namespace %s: %w", object, api.namespace, err)
	}
	if err := api.get(c.Context, api.namespace, "denials", about, &denied); err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("read the denials about %s in namespace %s: %w", object, api.namespace, err)
	}
	records := append(decided.Items, denied.Items...)
	slices.SortStableFunc(records, func(a, b decision.Record) int { return b.Time.Compare(a.Time.Time) })
	of := decision.Object{Kind: kind, Namespace: api.namespace, Name: name}
	return printTrimmed(c, decision.Explain(of, records, time.Now()))
}

func runWhyDenied(c *cli.Context) error {
	api, err := openDecisions(c)
	if err != nil {
		return err
	}
	var list decision.List
	if err := api.get(c.Context, c.String("namespace"), "denials", map[string]string{"limit": c.String("limit")}, &list); err != nil {
		return fmt.Errorf("read what was denied: %w", err)
	}
	return printTrimmed(c, decision.ExplainDenials(list.Items, time.Now()))
}

func runWhyNot(c *cli.Context) error {
	pod, isPod := strings.CutPrefix(c.Args().Get(0), "pod/")
	node, isNode := strings.CutPrefix(c.Args().Get(1), "node/")
	if c.NArg() != 2 || !isPod || !isNode || pod == "" || node == "" {
		return cli.Exit("pintle why-not: name a pod and a node, for example `pintle why-not pod/web-0 node/worker-1`", 2)
	}
	api, err := openDecisions(c)
	if err != nil {
		return err
	}
	var j decision.Judgement
	if err := api.get(c.Context, api.namespace, "judgements", map[string]string{"pod": pod, "node": node}, &j); err != nil {
		return fmt.Errorf("judge pod %s of namespace %s on node %s: %w", pod, api.namespace, node, err)
	}
	return printTrimmed(c, j.Explain())
}

func printTrimmed(c *cli.Context, text string) error {
	_, err := fmt.Fprintln(c.App.Writer, strings.TrimRight(text, "\n"))
	return err
}

// decisions reads the group decisions.pintle.io of a cluster.
type decisions struct {
	client    rest.Interface
	namespace string
}

func openDecisions(c *cli.Context) (*decisions, error) {
	cfg, namespace, err := clusterOf(c)
	if err != nil {
		return nil, err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &decisions{client.RESTClient(), namespace}, nil
}

// clusterOf is the cluster and namespace that --kubeconfig, --namespace and the
// environment name, or else the one in the default data directory.
func clusterOf(c *cli.Context) (*rest.Config, string, error) {
	flags := genericclioptions.NewConfigFlags(true)
	*flags.KubeConfig = c.String("kubeconfig")
	*flags.Namespace = c.String("namespace")
	if c.String("kubeconfig") == "" && os.Getenv("KUBECONFIG") == "" {
		if file := app.KubeconfigFile(app.DefaultDataDir()); fileExists(file) {
			*flags.KubeConfig = file
		}
	}
	cfg, err := flags.ToRESTConfig()
	if err != nil {
		return nil, "", err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	return cfg, namespace, err
}

// get reads one resource; an empty namespace stands for all.
func (d *decisions) get(ctx context.Context, namespace, resource string, params map[string]string, into any) error {
	path := decision.Path + "/"
	if namespace != "" {
		path += "namespaces/" + namespace + "/"
	}
	request := d.client.Get().AbsPath(path + resource)
	for name, value := range params {
		request = request.Param(name, value)
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return err
	}
	raw, err := result.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
