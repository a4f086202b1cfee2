package command

import (
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectl "k8s.io/kubectl/pkg/cmd"

	"github.com/pintle-io/pintle/cli/app"
)

// kubectlVerbs are served by the k8s.io/kubectl library as they are.
var kubectlVerbs = []struct{ name, usage string }{
	{"apply", "Apply manifests"},
	{"get", "Show objects"},
	{"describe", "Show an object in detail"},
	{"delete", "Delete objects"},
	{"create", "Create an object"},
	{"edit", "Edit an object"},
	{"replace", "Replace an object"},
	{"patch", "Change fields of an object"},
	{"diff", "Show what apply would change"},
	{"logs", "Print a container's output"},
	{"exec", "Run a command in a container"},
	{"attach", "Attach to a running container"},
	{"cp", "Copy files to and from containers"},
	{"port-forward", "Forward local ports to a pod"},
	{"proxy", "Serve the API on a local port"},
	{"debug", "Debug a workload"},
	{"run", "Run an image in a pod"},
	{"expose", "Make a Service for a workload"},
	{"set", "Set features of objects"},
	{"explain", "Document a kind's fields"},
	{"rollout", "Watch, undo, pause or restart a rollout"},
	{"scale", "Set a workload's size"},
	{"autoscale", "Scale a workload by load"},
	{"wait", "Wait for a condition"},
	{"label", "Change labels"},
	{"annotate", "Change annotations"},
	{"events", "List events"},
	{"top", "Show resource use"},
	{"cordon", "Mark a node unschedulable"},
	{"uncordon", "Mark a node schedulable"},
	{"drain", "Empty a node"},
	{"taint", "Change a node's taints"},
	{"auth", "Inspect authorization"},
	{"certificate", "Approve or deny certificate requests"},
	{"api-resources", "List the kinds served"},
	{"api-versions", "List the API versions served"},
	{"cluster-info", "Show where the cluster answers"},
	{"config", "Change kubeconfig files"},
	{"kustomize", "Build a kustomization"},
}

func kubectlCommands() []*cli.Command {
	commands := make([]*cli.Command, 0, len(kubectlVerbs))
	for _, verb := range kubectlVerbs {
		commands = append(commands, &cli.Command{
			Name: verb.name, Usage: verb.usage, Category: "kubectl",
			SkipFlagParsing: true,
			Action:          runKubectl,
		})
	}
	return commands
}

// runKubectl hands the whole command line to kubectl. Without another choice the
// kubeconfig is that of the default cluster.
func runKubectl(c *cli.Context) error {
	if os.Getenv("KUBECONFIG") == "" {
		if file := app.KubeconfigFile(app.DefaultDataDir()); fileExists(file) {
			os.Setenv("KUBECONFIG", file)
		}
	}
	streams := genericiooptions.IOStreams{In: c.App.Reader, Out: c.App.Writer, ErrOut: c.App.ErrWriter}
	args := append([]string{c.Command.Name}, c.Args().Slice()...)
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	if c.Command.Name == "get" {
		var at string
		var err error
		if args, at, err = takeAt(args); err != nil {
			return err
		}
		if at != "" {
			flags = flags.WithWrapConfigFn(readPast(at))
		}
	}
	if c.Command.Name != "logs" { // there, -f follows
		in, err := checkManifests(args, streams.In)
		if err != nil {
			return cli.Exit("pintle "+c.Command.Name+": "+err.Error(), 1)
		}
		if in != streams.In {
			file, err := spool(in)
			if err != nil {
				return cli.Exit("pintle "+c.Command.Name+": keep standard input: "+err.Error(), 1)
			}
			defer file.Close()
			// kubectl's library reads manifests from the process's standard input,
			// whatever streams it is given.
			os.Stdin, streams.In = file, file
		}
	}
	root := kubectl.NewDefaultKubectlCommandWithArgs(kubectl.KubectlOptions{
		PluginHandler: kubectl.NewDefaultPluginHandler([]string{"kubectl"}),
		Arguments:     append([]string{"kubectl"}, args...),
		ConfigFlags:   flags,
		IOStreams:     streams,
	})
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	if err := root.ExecuteContext(c.Context); err != nil {
		// kubectl prints its own errors through its fatal handler; what arrives
		// here are usage errors of cobra, which it prints as well.
		return cli.Exit(strings.TrimSpace(err.Error()), 1)
	}
	return nil
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
