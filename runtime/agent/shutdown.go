package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pintle-io/pintle/runtime/container"
)

// shutdownGrace is what containers get to end when the node is shut down, and
// shutdownParallel how many pods end at the same time.
const (
	shutdownGrace    = 3 * time.Second
	shutdownParallel = 16
)

// Shutdown ends every pod of the node and removes what they left on the
// machine: containers, network namespaces, mounts, cgroups. Logs and the data
// folder stay. Call it after Run has returned.
func (a *Agent) Shutdown(ctx context.Context) error {
	refs, err := a.cfg.Runtime.Pods(ctx)
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	uids, err := a.volumes.Pods()
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(shutdownParallel)
	for _, ref := range refs {
		g.Go(func() error { return a.endPod(ctx, ref) })
	}
	err = g.Wait()
	for _, uid := range uids {
		err = errors.Join(err, a.volumes.Teardown(uid))
	}
	err = errors.Join(err, a.cfg.Network.Sweep(ctx, nil))
	return errors.Join(err, RemoveCgroup(a.cfg.CgroupParent))
}

func (a *Agent) endPod(ctx context.Context, ref container.PodRef) error {
	state, err := a.cfg.Runtime.Pod(ctx, ref.UID)
	if err != nil {
		return err
	}
	var g errgroup.Group
	for _, c := range state.Containers {
		g.Go(func() error { return a.cfg.Runtime.StopContainer(ctx, c.ID, shutdownGrace) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := a.cfg.Network.Teardown(ctx, ref.UID, a.netnsPath(ref.UID), nil); err != nil {
		return err
	}
	return a.removePod(ctx, ref, state)
}
