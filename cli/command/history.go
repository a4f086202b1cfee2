package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/cli/app"
)

func historyCommand() *cli.Command {
	return &cli.Command{
		Name: "history", Usage: "Show the past states of an object", ArgsUsage: "KIND/NAME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the object's `NAMESPACE` (default: that of the kubeconfig)"},
			kubeconfigFlag(),
			&cli.StringFlag{Name: "revision", Usage: "print the object as it was at `REVISION`, or at a time such as 2026-11-23T17:00:00Z"},
		},
		Action: runHistory,
	}
}

func runHistory(c *cli.Context) error {
	kind, name, ok := strings.Cut(c.Args().First(), "/")
	if c.NArg() != 1 || !ok || kind == "" || name == "" {
		return cli.Exit("pintle history: name one object, for example `pintle history deploy/web`", 2)
	}
	flags := genericclioptions.NewConfigFlags(true)
	*flags.KubeConfig = c.String("kubeconfig")
	*flags.Namespace = c.String("namespace")
	if c.String("kubeconfig") == "" && os.Getenv("KUBECONFIG") == "" {
		if file := app.KubeconfigFile(app.DefaultDataDir()); fileExists(file) {
			*flags.KubeConfig = file
		}
	}
	client, params, err := historyQuery(flags, kind, name)
	if err != nil {
		return err
	}
	var versions []app.StoreVersion
	if err := call(c.Context, client, "GET", "/history", params, &versions); err != nil {
		return err
	}
	if at := c.String("revision"); at != "" {
		return printVersion(c, client, versions, at)
	}
	return printVersions(c, versions)
}

// historyQuery finds the resource that a kind, as people write it, stands for.
func historyQuery(flags *genericclioptions.ConfigFlags, kind, name string) (rest.Interface, map[string]string, error) {
	cfg, err := flags.ToRESTConfig()
	if err != nil {
		return nil, nil, err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	mapper, err := flags.ToRESTMapper()
	if err != nil {
		return nil, nil, err
	}
	gvr, err := mapper.ResourceFor(schema.ParseGroupResource(strings.ToLower(kind)).WithVersion(""))
	if err != nil {
		return nil, nil, err
	}
	gvk, err := mapper.KindFor(gvr)
	if err != nil {
		return nil, nil, err
	}
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, nil, err
	}
	params := map[string]string{"group": gvr.Group, "version": gvr.Version, "resource": gvr.Resource, "name": name}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if params["namespace"], _, err = flags.ToRawKubeConfigLoader().Namespace(); err != nil {
			return nil, nil, err
		}
	}
	return client.RESTClient(), params, nil
}

func printVersions(c *cli.Context, versions []app.StoreVersion) error {
	w := tabwriter.NewWriter(c.App.Writer, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "REVISION\tTIME\tWHAT\tBY")
	for _, v := range versions {
		at := "-"
		if !v.Time.IsZero() {
			at = v.Time.Local().Format(time.DateTime)
		}
		what := map[string]string{"ADDED": "created", "MODIFIED": "changed", "DELETED": "deleted"}[v.Type]
		if v.Error != "" {
			what = "cannot be read: " + v.Error
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", v.Revision, at, what, lastManager(v.Object))
	}
	return w.Flush()
}

// lastManager names who changed the object last, as its managed fields tell.
func lastManager(raw json.RawMessage) string {
	var obj struct {
		Metadata struct {
			ManagedFields []struct {
				Manager string    `json:"manager"`
				Time    time.Time `json:"time"`
			} `json:"managedFields"`
		} `json:"metadata"`
	}
	if json.Unmarshal(raw, &obj) != nil {
		return "-"
	}
	who, newest := "-", time.Time{}
	for _, f := range obj.Metadata.ManagedFields {
		if !f.Time.Before(newest) {
			who, newest = f.Manager, f.Time
		}
	}
	return who
}

func printVersion(c *cli.Context, client rest.Interface, versions []app.StoreVersion, at string) error {
	rev, err := revisionOf(c.Context, client, at)
	if err != nil {
		return err
	}
	for _, v := range versions {
		switch {
		case v.Revision > rev:
			continue
		case v.Type == "DELETED":
			return fmt.Errorf("%s did not exist at revision %d: it was deleted at revision %d", c.Args().First(), rev, v.Revision)
		case v.Error != "":
			return fmt.Errorf("%s at revision %d cannot be read: %s", c.Args().First(), v.Revision, v.Error)
		}
		raw, err := yaml.JSONToYAML(v.Object)
		if err != nil {
			return err
		}
		_, err = c.App.Writer.Write(raw)
		return err
	}
	return fmt.Errorf("%s did not exist at revision %d, or history does not reach back so far", c.Args().First(), rev)
}

// revisionOf reads a revision or a time.
func revisionOf(ctx context.Context, client rest.Interface, at string) (int64, error) {
	if rev, err := strconv.ParseInt(at, 10, 64); err == nil {
		return rev, nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return 0, cli.Exit(fmt.Sprintf("%q is neither a revision nor a time such as 2026-11-23T17:00:00Z", at), 2)
	}
	var answer app.StoreRevision
	err = call(ctx, client, "GET", "/revision", map[string]string{"at": t.Format(time.RFC3339)}, &answer)
	return answer.Revision, err
}
