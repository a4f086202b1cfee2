// Command bench measures the built binary from outside, through unmodified
// client-go, and prints each figure beside upstream's and the goals. It shares
// the machine with what it measures, so its figures hold for one run on one
// machine; upstream's come from a quiet machine of two cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/harness"
)

// bench is one run.
type bench struct {
	binary string
	dir    string
	table  *table
}

// parts are run in this order, each on servers of its own.
var parts = []struct {
	name string
	run  func(b *bench, ctx context.Context) error
}{
	{"ready", (*bench).ready},
	{"idle", (*bench).idle},
	{"configmaps", (*bench).configMaps},
	{"pods", (*bench).pods},
	{"watch", (*bench).watch},
	{"deployment", (*bench).deployment},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	binary := flag.String("pintle", "bin/pintle", "measure the binary in `FILE`")
	only := flag.String("only", "", "run these `PARTS` (comma-separated) instead of all: "+partNames())
	flag.Parse()
	path, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w; `go tool task build` makes it", err)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{binary: path, dir: dir, table: newTable(os.Stdout)}
	began := time.Now()
	b.table.head()
	var failed error
	for _, p := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		if err := p.run(b, ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	b.table.foot(time.Since(began))
	return failed
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// withServer runs do against a fresh control plane.
func (b *bench) withServer(ctx context.Context, do func(c *harness.Cluster) error, args ...string) (err error) {
	c, err := b.newServer(args...)
	if err != nil {
		return err
	}
	if _, err := c.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Kill(), os.RemoveAll(filepath.Dir(c.DataDir))) }()
	return do(c)
}

func (b *bench) newServer(args ...string) (*harness.Cluster, error) {
	dir, err := os.MkdirTemp(b.dir, "server")
	if err != nil {
		return nil, err
	}
	return harness.NewCluster(b.binary, dir, "server", args...)
}
