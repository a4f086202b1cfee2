package command

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/store/snapshot"
)

func snapshotCommand() *cli.Command {
	common := []cli.Flag{dataFlag(), kubeconfigFlag()}
	return &cli.Command{
		Name: "snapshot", Usage: "Keep states of a cluster and go back to them",
		Subcommands: []*cli.Command{
			{
				Name: "save", Usage: "Take a snapshot, of a running cluster too", ArgsUsage: "[NAME]", Action: saveSnapshot,
				Flags: append(common, &cli.BoolFlag{Name: "include-keys", Usage: "put the encryption keys into the snapshot"}),
			},
			{Name: "list", Usage: "List the snapshots", ArgsUsage: " ", Flags: common, Action: listSnapshots},
			{
				Name: "restore", Usage: "Put a stopped cluster back to a snapshot", ArgsUsage: "NAME|PATH", Action: restoreSnapshot,
				Flags: []cli.Flag{dataFlag()},
			},
			{Name: "delete", Usage: "Delete a snapshot", ArgsUsage: "NAME", Flags: common, Action: deleteSnapshot},
		},
	}
}

func saveSnapshot(c *cli.Context) error {
	name := c.Args().First()
	if c.NArg() > 1 {
		_, err := oneArgument(c, "at most one name")
		return err
	}
	if name == "" {
		name = time.Now().UTC().Format("20060102-150405")
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	started := time.Now()
	var info snapshot.Info
	if client != nil {
		params := map[string]string{}
		if c.Bool("include-keys") {
			params["keys"] = "include"
		}
		err = call(c.Context, client, "POST", "/snapshots/"+name, params, &info)
	} else {
		info, err = app.SaveSnapshot(data, name, c.Bool("include-keys"))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "Snapshot %s holds the cluster as of revision %d (taken in %s, in %s).\n", info.Name, info.Revision, time.Since(started).Round(time.Millisecond), info.Path)
	switch {
	case len(info.Keys) == 0:
	case info.KeysIncluded:
		fmt.Fprintln(c.App.Writer, "The encryption keys are in it: whoever can read it can read the secrets.")
	default:
		fmt.Fprintf(c.App.Writer, "Secrets in it are encrypted; the keys (%s) are not in it.\n", strings.Join(info.Keys, ", "))
	}
	return nil
}

func listSnapshots(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	var all []snapshot.Info
	if client != nil {
		err = call(c.Context, client, "GET", "/snapshots", nil, &all)
	} else {
		all, err = snapshot.List(app.SnapshotDir(data))
	}
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(c.App.Writer, "There are no snapshots; `pintle snapshot save` takes one.")
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tREVISION\tCREATED\tKEYS")
	for _, info := range all {
		keys := "-"
		if len(info.Keys) > 0 {
			keys = "outside"
		}
		if info.KeysIncluded {
			keys = "included"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", info.Name, info.Revision, info.Created.Format(time.RFC3339), keys)
	}
	return w.Flush()
}

func restoreSnapshot(c *cli.Context) error {
	name, err := oneArgument(c, "the name or path of one snapshot")
	if err != nil {
		return err
	}
	data, err := dataDir(c)
	if err != nil {
		return err
	}
	if err := stopped(data, "restoring"); err != nil {
		return err
	}
	info, err := app.FindSnapshot(data, name)
	if err != nil {
		return err
	}
	if err := app.RestoreSnapshot(data, info); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "The cluster in %s is back at snapshot %s of %s (revision %d). What was there is kept in %s.\n",
		data, info.Name, info.Created.Format(time.RFC3339), info.Revision, app.PreviousStore(data))
	return nil
}

func deleteSnapshot(c *cli.Context) error {
	name, err := oneArgument(c, "the name of one snapshot")
	if err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	if client != nil {
		err = call(c.Context, client, "DELETE", "/snapshots/"+name, nil, &metav1.Status{})
	} else {
		err = snapshot.Delete(app.SnapshotDir(data), name)
	}
	if err == nil {
		fmt.Fprintf(c.App.Writer, "Snapshot %s is deleted.\n", name)
	}
	return err
}
