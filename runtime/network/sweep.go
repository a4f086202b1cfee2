package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sweep takes every pod off the network that is not among the live ones (by
// UID), however far its set-up had come, and frees address leases that no live
// pod holds. The veth pair of a pod goes with its namespace.
func (n *Network) Sweep(ctx context.Context, live map[string]bool) error {
	n.mu.Lock()
	uids := slices.Sorted(maps.Keys(n.mu.pods))
	n.mu.Unlock()
	var errs []error
	for _, uid := range uids {
		if live[uid] {
			continue
		}
		n.cfg.Logger.Info("removing the network of a pod that is gone", "uid", uid)
		errs = append(errs, n.Teardown(ctx, uid, "", nil))
	}
	return errors.Join(append(errs, n.sweepLeases(live))...)
}

// sweepLeases removes host-local's leases (one file per address, the pod's UID
// on its first line) that no live pod holds.
func (n *Network) sweepLeases(live map[string]bool) error {
	dir := filepath.Join(n.ipamDir(), networkName)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read address leases: %w", err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || !isLease(e.Name()) {
			continue
		}
		uid, _, _ := strings.Cut(string(data), "\n")
		if uid = strings.TrimSpace(uid); live[uid] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("free address %s: %w", e.Name(), err)
		}
	}
	return nil
}

// isLease tells host-local's leases from its lock and bookkeeping files.
func isLease(name string) bool {
	return name != "lock" && !strings.HasPrefix(name, "last_reserved_ip")
}

// Down removes all that this package made for the node: pods, bridge, table and
// the data folder. The node's containers must have ended before.
func (n *Network) Down(ctx context.Context) error {
	if err := n.Sweep(ctx, nil); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.prepared = false
	if err := deleteLink(n.cfg.Bridge, n.cfg.DataDir); err != nil {
		return err
	}
	if err := forgetBridge(ctx, n.cfg.Bridge); err != nil {
		return err
	}
	if err := deleteTable(ctx, n.cfg.Table); err != nil {
		return err
	}
	return os.RemoveAll(n.cfg.DataDir)
}
