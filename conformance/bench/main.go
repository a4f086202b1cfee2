// Command bench measures the built binary from outside, through unmodified
// client-go, and prints each figure beside upstream's and the goals. With
// --upstream it runs the published control plane in the same way in the same run;
// otherwise it shows what that did on a quiet machine of two cores. It shares the
// machine with what it measures, so its figures hold for one run on one machine.
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
)

// part is a group of figures. It runs on servers of its own.
type part struct {
	name string
	run  func(ctx context.Context, s system, r *report) error
	// alone means that only Pintle can do it.
	alone bool
}

// parts are run in this order.
var parts = []part{
	{name: "ready", run: ready},
	{name: "idle", run: idle},
	{name: "configmaps", run: configMaps},
	{name: "pods", run: pods},
	{name: "watch", run: watchers},
	{name: "memory", run: memory},
	{name: "filled", run: filled},
	{name: "bind", run: bindings},
	{name: "deployment", run: deployment, alone: true},
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
	bin := flag.String("upstream", "", "measure also the etcd, kube-apiserver, kube-controller-manager and kube-scheduler in `DIR`")
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
	ours := pintle{path, dir}
	var theirs system
	if *bin != "" {
		if theirs, err = newUpstream(*bin, dir); err != nil {
			return err
		}
	}
	out := table{os.Stdout}
	began := time.Now()
	out.head()
	var failed error
	for _, p := range parts {
		if *only == "" || slices.Contains(strings.Split(*only, ","), p.name) {
			failed = errors.Join(failed, p.compare(ctx, out, ours, theirs))
		}
	}
	out.foot(time.Since(began))
	return failed
}

// compare runs one part on both systems and prints what was measured, also if
// something failed.
func (p part) compare(ctx context.Context, out table, ours, theirs system) error {
	var a, b report
	var err error
	if theirs == nil || p.alone {
		err = p.run(ctx, ours, &a)
	} else {
		err = p.inTurns(ctx, ours, theirs, &a, &b)
	}
	out.rows(&a, &b)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// inTurns runs one part on both systems, which pass the turn to each other.
func (p part) inTurns(ctx context.Context, ours, theirs system, a, b *report) error {
	a.turns, b.turns = newTurns()
	done := make(chan error, 1)
	go func() {
		defer b.turns.end()
		b.turns.wait()
		if err := p.run(ctx, theirs, b); err != nil {
			done <- fmt.Errorf("upstream: %w", err)
			return
		}
		done <- nil
	}()
	err := p.run(ctx, ours, a)
	a.turns.end()
	return errors.Join(err, <-done)
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
