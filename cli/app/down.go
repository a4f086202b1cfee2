package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/runtime/agent"
	"github.com/pintle-io/pintle/runtime/network"
	"github.com/pintle-io/pintle/runtime/policy"
	"github.com/pintle-io/pintle/runtime/proxy"
)

// stopPatience is how long a cluster's process may take to end in good order.
const stopPatience = 30 * time.Second

// Down stops the cluster of a data directory and removes what its nodes made on
// this machine: containers, namespaces, mounts, rules, containerd. The cluster's
// data and its images stay. It returns a sentence about what it did, and may be
// called again.
func Down(ctx context.Context, data string, log *slog.Logger) (string, error) {
	stopped, err := stopHolder(data, stopPatience)
	if err != nil {
		return "", err
	}
	nodes, err := localNodes(data)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(topologyDir(data))
	placed := len(nodes) > 0 || err == nil
	if !stopped && !placed {
		return "no cluster runs on " + data, nil
	}
	if placed {
		if os.Geteuid() != 0 {
			return "", fmt.Errorf("the cluster on %s has containers on this machine; removing them needs root", data)
		}
		lock, err := acquire(data)
		if err != nil {
			return "", err
		}
		defer lock.release()
		// Bridges and rules have fixed names: another cluster's may not be taken.
		machine, err := lockMachine(data)
		if err != nil {
			return "", err
		}
		defer machine.Close()
		if err := removeNodes(ctx, data, nodes, log); err != nil {
			return "", fmt.Errorf("take the nodes down (run it again to go on): %w", err)
		}
	}
	return "stopped the cluster on " + data + "; its data stays there", nil
}

// localNodes lists the nodes that have a place on this machine, in order.
func localNodes(data string) ([]string, error) {
	entries, err := os.ReadDir(nodesDir(data))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// removeNodes ends containers first, then what they stood on. Each step works
// from what it finds, so an interrupted one is repeated.
func removeNodes(ctx context.Context, data string, nodes []string, log *slog.Logger) error {
	top := topology(data)
	for _, name := range nodes {
		if err := endNode(ctx, top, nodeSpec{Name: name, DataDir: data}, log); err != nil {
			return fmt.Errorf("node %s: %w", name, err)
		}
	}
	if err := launcher(data, log).Stop(ctx); err != nil {
		return err
	}
	err := errors.Join(top.Down(ctx), proxy.Cleanup(ctx, proxy.DefaultTable), policy.Remove(ctx), network.RemoveRoutes(), agent.RemoveCgroup(cgroupParent))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(nodesDir(data)); err != nil {
		return err
	}
	return forgetMachine(data)
}

// endNode stops the node's pods in good order if its containerd answers.
func endNode(ctx context.Context, top *network.Topology, s nodeSpec, log *slog.Logger) error {
	pods, err := network.New(s.networkConfig(log))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.dir(), "agent")); err == nil {
		if err := endPods(ctx, s, pods, log); err != nil {
			return err
		}
	}
	netns := filepath.Join(topologyDir(s.DataDir), "netns", s.Name)
	if !network.NetnsAlive(netns) { // node 1, or the machine was started anew
		return pods.Down(ctx)
	}
	// Pods of a node in a namespace of its own were joined to a bridge there.
	if err := network.InNetns(netns, func() error { return pods.Down(ctx) }); err != nil {
		return err
	}
	return top.DestroyNode(ctx, s.Name)
}

func endPods(ctx context.Context, s nodeSpec, pods *network.Network, log *slog.Logger) error {
	runtime, err := openRuntime(ctx, s, log)
	if err != nil {
		return err
	}
	defer runtime.Close()
	// Nothing is asked of the API on the way down.
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "https://127.0.0.1:0"})
	if err != nil {
		return err
	}
	a, err := newAgent(s, nodeAPI{client: client}, runtime, pods, log, func(*agent.Config) {})
	if err != nil {
		return err
	}
	return a.Shutdown(ctx)
}
