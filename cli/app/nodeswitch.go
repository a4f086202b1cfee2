package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pintle-io/pintle/runtime/network"
)

// switchEvery is how often the process of a cluster looks whether a node of its was
// stopped or started.
const switchEvery = 200 * time.Millisecond

// switchFile exists while a node is stopped.
func switchFile(s nodeSpec) string { return filepath.Join(s.dir(), "stopped") }

func switchedOn(s nodeSpec) bool {
	_, err := os.Stat(switchFile(s))
	return errors.Is(err, os.ErrNotExist)
}

// awaitSwitch waits until the node is to run, or is not; false if ctx ended first.
func awaitSwitch(ctx context.Context, s nodeSpec, on bool) bool {
	tick := time.NewTicker(switchEvery)
	defer tick.Stop()
	for switchedOn(s) != on {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return ctx.Err() == nil
}

// findNode returns a node that can be switched and cut off: it must have a place of
// its own on this machine.
func findNode(data, name string) (nodeSpec, int, error) {
	names, err := localNodes(data)
	if err != nil {
		return nodeSpec{}, 0, err
	}
	if !slices.Contains(names, name) {
		return nodeSpec{}, 0, fmt.Errorf("no node %q runs on this machine for the cluster on %s; there are: %s", name, data, strings.Join(names, ", "))
	}
	number, _ := strings.CutPrefix(name, "node-")
	n, err := strconv.Atoi(number)
	if err != nil || n == 1 {
		return nodeSpec{}, 0, fmt.Errorf("node %s is the machine itself and the cluster's own process; only further nodes (pintle up --nodes N) can be stopped or cut off", name)
	}
	if os.Geteuid() != 0 {
		return nodeSpec{}, 0, fmt.Errorf("node %s: this needs root", name)
	}
	return nodeSpec{Name: name, DataDir: data, Netns: filepath.Join(topologyDir(data), "netns", name)}, n - 1, nil
}

// StopNode ends a node's agent and its containers, as switching a machine off does.
func StopNode(ctx context.Context, data, name string, log *slog.Logger) error {
	s, _, err := findNode(data, name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(switchFile(s), nil, 0o600); err != nil {
		return err
	}
	if err := awaitProcesses(ctx, name); err != nil {
		return err
	}
	pods, err := network.New(s.networkConfig(log))
	if err != nil {
		return err
	}
	return network.InNetns(s.Netns, func() error { return endPods(ctx, s, pods, log) })
}

// StartNode runs a stopped node again.
func StartNode(data, name string) error {
	s, _, err := findNode(data, name)
	if err != nil {
		return err
	}
	err = os.Remove(switchFile(s))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("node %s is not stopped", name)
	}
	return err
}

// LinkNode cuts a node off from the cluster and all other nodes, or heals that.
func LinkNode(data, name string, up bool) error {
	_, index, err := findNode(data, name)
	if err != nil {
		return err
	}
	return topology(data).SetLink(index, up)
}

// awaitProcesses waits until no process runs the node.
func awaitProcesses(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	tick := time.NewTicker(switchEvery)
	defer tick.Stop()
	for runsNode(name) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s: its process does not end: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func runsNode(name string) bool {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return false
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(b), "\x00run-node\x00") && strings.Contains(string(b), "\x00--name\x00"+name+"\x00") {
			return true
		}
	}
	return false
}
