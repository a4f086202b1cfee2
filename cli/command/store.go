package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

func storeCommand() *cli.Command {
	common := []cli.Flag{dataFlag(), kubeconfigFlag()}
	return &cli.Command{
		Name: "store", Usage: "Look after the data of a cluster",
		Subcommands: []*cli.Command{
			{Name: "status", Usage: "Show revisions, history, condition and keys of a running cluster", ArgsUsage: " ", Flags: common, Action: storeStatus},
			{
				Name: "export", Usage: "Write the present state to one file (- is the output)", ArgsUsage: "FILE", Action: exportStore,
				Flags: append(common,
					&cli.BoolFlag{Name: "decrypt", Usage: "write secrets readably"},
					&cli.BoolFlag{Name: "include-keys", Usage: "put the encryption keys into the file"}),
			},
			{
				Name: "import", Usage: "Make a data directory of an export (- is the input)", ArgsUsage: "FILE", Action: importStore,
				Flags: []cli.Flag{dataFlag()},
			},
			{Name: "verify", Usage: "Read everything and say what is damaged", ArgsUsage: " ", Flags: common, Action: verifyStore},
			{Name: "rotate-key", Usage: "Encrypt everything in a running cluster with a new key", ArgsUsage: " ", Flags: common, Action: rotateKey},
			{
				Name: "branch", Usage: "Make a second data directory that shares what is there by hard links", ArgsUsage: "DIR", Action: branchStore,
				Flags: append(common, &cli.StringFlag{Name: "from", Usage: "begin at this `SNAPSHOT` (default: now)"}),
			},
		},
	}
}

// storeFlags are those of commands that start a cluster.
func storeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "history-size", Usage: "keep at most `SIZE` of past states (for example 512MiB)", Value: "1GiB"},
		&cli.DurationFlag{Name: "history-age", Usage: "keep past states for `DURATION`", Value: 24 * time.Hour},
		&cli.StringFlag{Name: "ballast", Usage: "keep `SIZE` in reserve for when the disk is full; 0 for none", Value: "64MiB"},
		&cli.StringSliceFlag{Name: "encrypt", Usage: "encrypt `RESOURCE` on disk (repeat it; \"all\" or \"none\")", Value: cli.NewStringSlice("secrets")},
		&cli.BoolFlag{Name: "accept-loss", Usage: "start although acknowledged writes are missing in the store"},
	}
}

func storeConfig(c *cli.Context) (app.StoreConfig, error) {
	cfg := app.StoreConfig{HistoryAge: c.Duration("history-age"), Encrypt: c.StringSlice("encrypt"), AcceptLoss: c.Bool("accept-loss")}
	var err error
	if cfg.HistoryBytes, err = parseSize(c, "history-size"); err != nil {
		return cfg, err
	}
	if cfg.BallastBytes, err = parseSize(c, "ballast"); err != nil {
		return cfg, err
	}
	if c.IsSet("ballast") && cfg.BallastBytes == 0 {
		cfg.BallastBytes = -1
	}
	return cfg, nil
}

// parseSize reads a number of bytes with KiB, MiB or GiB behind it.
func parseSize(c *cli.Context, flag string) (int64, error) {
	text := c.String(flag)
	number, unit := text, int64(1)
	for suffix, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = rest, factor
		}
	}
	var n int64
	var more string
	if text == "" {
		return 0, nil
	}
	if count, _ := fmt.Sscanf(number+" ", "%d%s", &n, &more); count != 1 || n < 0 {
		return 0, cli.Exit(fmt.Sprintf("--%s %q: want a size such as 512MiB or 1GiB", flag, text), 2)
	}
	return n * unit, nil
}

func storeStatus(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	if client == nil {
		return fmt.Errorf("no cluster runs on %s; `pintle store verify` looks at a stopped one", data)
	}
	var s store.Status
	if err := call(c.Context, client, "GET", "", nil, &s); err != nil {
		return err
	}
	w := c.App.Writer
	fmt.Fprintf(w, "revision   %d\n", s.Revision)
	fmt.Fprintf(w, "history    from revision %d", s.Compacted)
	if !s.HistoryStart.IsZero() {
		fmt.Fprintf(w, ", since %s", s.HistoryStart.Format(time.RFC3339))
	}
	fmt.Fprintf(w, ", %s\n", bytesOf(s.HistoryBytes))
	if s.Keys != nil {
		fmt.Fprintf(w, "encrypted  %s, with key %s of %s\n", strings.Join(s.Keys.Prefixes, " "), s.Keys.Primary, s.Keys.File)
	}
	if s.Condition == "" {
		s.Condition = "good"
	}
	fmt.Fprintf(w, "condition  %s\n", s.Condition)
	return nil
}

func exportStore(c *cli.Context) error {
	name, err := oneArgument(c, "one file to write")
	if err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	opts := store.ExportOptions{Decrypt: c.Bool("decrypt"), IncludeKeys: c.Bool("include-keys")}
	write := func(w io.Writer) (*store.Transfer, error) {
		if client == nil {
			return app.ExportStore(c.Context, data, w, opts)
		}
		return exportOnline(c, client, opts, w)
	}
	if name == "-" {
		_, err := write(c.App.Writer)
		return err
	}
	t, err := writeWhole(name, write)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s holds %d objects (%s) as of revision %d, written in %s; SHA-256 %s.\n", name, t.Entries, bytesOf(t.Bytes), t.Revision, t.Took.Round(time.Millisecond), t.SHA256)
	switch {
	case opts.Decrypt:
		fmt.Fprintln(c.App.Writer, "Secrets in it can be read by whoever can read it.")
	case t.KeysIncluded:
		fmt.Fprintln(c.App.Writer, "The encryption keys are in it: whoever can read it can read the secrets.")
	case t.Encrypted > 0:
		fmt.Fprintf(c.App.Writer, "%d values in it are encrypted; the keys (%s) are not in it.\n", t.Encrypted, strings.Join(t.Keys, ", "))
	}
	return nil
}

// writeWhole writes a file that is only its owner's and is there complete or not at
// all.
func writeWhole(name string, write func(io.Writer) (*store.Transfer, error)) (*store.Transfer, error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".export-*")
	if err != nil {
		return nil, err
	}
	t, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return t, nil
}

func importStore(c *cli.Context) error {
	name, err := oneArgument(c, "one file to read")
	if err != nil {
		return err
	}
	data, err := dataDir(c)
	if err != nil {
		return err
	}
	in := c.App.Reader
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	t, err := app.ImportStore(c.Context, data, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s has %d objects (%s, %d encrypted) of revision %d, in %s. Start it with `pintle server --data %s`.\n", data, t.Entries, bytesOf(t.Bytes), t.Encrypted, t.Revision, t.Took.Round(time.Millisecond), data)
	return nil
}

func verifyStore(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	report := &kv.Report{}
	if client != nil {
		err = call(c.Context, client, "POST", "/verify", nil, report)
	} else {
		report, err = app.VerifyStore(c.Context, data)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "Read %d objects in %d versions (%s), %d events and %d tables, to revision %d, in %s.\n",
		report.Keys, report.Versions, bytesOf(report.Bytes), report.Events, report.Tables, report.Revision, report.Took.Round(time.Millisecond))
	if len(report.Damages) == 0 {
		fmt.Fprintln(c.App.Writer, "Everything is as it was written.")
		return nil
	}
	for _, d := range report.Damages {
		fmt.Fprintln(c.App.Writer, "  "+d.String())
	}
	return cli.Exit(fmt.Sprintf("pintle: %d damages; `pintle snapshot restore` goes back to a sound state", len(report.Damages)+report.More), 1)
}

func rotateKey(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	data, client, err := dataAndClient(c)
	if err != nil {
		return err
	}
	if client == nil {
		return fmt.Errorf("the key is changed while the cluster runs, and none runs on %s; start it first", data)
	}
	var done app.StoreRotation
	if err := call(c.Context, client, "POST", "/rotate-key", nil, &done); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%d values are encrypted with the new key %s; save a copy of %s.\n", done.Rewritten, done.Keys.Primary, done.Keys.File)
	if old := done.Keys.IDs[1:]; len(old) > 0 {
		fmt.Fprintf(c.App.Writer, "Snapshots still need the old keys %s, so they are kept.\n", strings.Join(old, ", "))
	}
	return nil
}

func branchStore(c *cli.Context) error {
	target, err := oneArgument(c, "the directory to make")
	if err != nil {
		return err
	}
	data, err := dataDir(c)
	if err != nil {
		return err
	}
	if target, err = filepath.Abs(target); err != nil {
		return err
	}
	info, temporary, err := branchPoint(c, data)
	if err != nil {
		return err
	}
	err = app.Branch(data, target, info)
	if temporary {
		err = errors.Join(err, snapshot.Delete(app.SnapshotDir(data), info.Name))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s is a branch of %s at revision %d. Start it with `pintle server --data %s --listen 127.0.0.1:0`.\n", target, data, info.Revision, target)
	return nil
}

// branchPoint is the snapshot to branch at, or one that is taken for it.
func branchPoint(c *cli.Context, data string) (info snapshot.Info, temporary bool, err error) {
	if from := c.String("from"); from != "" {
		info, err = app.FindSnapshot(data, from)
		return info, false, err
	}
	name := fmt.Sprintf("branch-%d", os.Getpid())
	client, err := storeClient(c, data)
	switch {
	case err != nil:
	case client != nil:
		err = call(c.Context, client, "POST", "/snapshots/"+name, nil, &info)
	default:
		info, err = app.SaveSnapshot(data, name, false)
	}
	return info, true, err
}
