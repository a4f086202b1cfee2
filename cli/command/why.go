package command

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/engine/decision"
)

func whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", Usage: "Explain what was decided about an object", ArgsUsage: "KIND/NAME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the object's `NAMESPACE` (default: that of the kubeconfig)"},
			&cli.StringFlag{Name: "kubeconfig", Usage: "use the cluster that `FILE` names"},
		},
		Action: runWhy,
	}
}

// operandAt is where the operand of a verb is, for verbs that take one.
var operandAt = map[string]int{"why": 2, "history": 2, "snapshot": 3, "store": 3}

// flagsFirst moves the operand behind the flags, which may follow it as they do with
// kubectl: the flag package stops at the first word that is none.
func flagsFirst(args []string) []string {
	if len(args) < 2 {
		return args
	}
	at := operandAt[args[1]]
	if at == 0 || at >= len(args) || strings.HasPrefix(args[at], "-") && args[at] != "-" {
		return args
	}
	return append(append(slices.Clone(args[:at]), args[at+1:]...), args[at])
}

func runWhy(c *cli.Context) error {
	object := c.Args().First()
	kind, name, ok := strings.Cut(object, "/")
	if c.NArg() != 1 || !ok || kind == "" || name == "" {
		return cli.Exit("pintle why: name one object, for example `pintle why pod/web-0`", 2)
	}
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
		return err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return err
	}
	raw, err := client.RESTClient().Get().
		AbsPath("/apis/decisions.pintle.io/v1alpha1/namespaces/"+namespace+"/decisions").
		Param("object", kind+"/"+name).DoRaw(c.Context)
	if err != nil {
		return fmt.Errorf("read the decisions about %s in namespace %s: %w", object, namespace, err)
	}
	var list decision.List
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("read the decisions about %s: %w", object, err)
	}
	about := decision.Object{Kind: kind, Namespace: namespace, Name: name}
	_, err = fmt.Fprintln(c.App.Writer, strings.TrimRight(decision.Explain(about, list.Items, time.Now()), "\n"))
	return err
}
