package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/volume"
)

// act carries out the actions of one plan, until one fails.
func (w *worker) act(ctx context.Context, o podplan.Observed, r podplan.Result) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	if w.mu.pod != nil && o.Pod != w.mu.pod && w.mu.pod.DeletionTimestamp != nil && o.Pod.DeletionTimestamp == nil {
		// The end came in between.
		w.mu.Unlock()
		return context.Canceled
	}
	w.mu.stopAct = cancel
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.mu.stopAct = nil
		w.mu.Unlock()
	}()
	if err := w.prepare(ctx, o.Pod, r.Actions); err != nil {
		return err
	}
	for i := 0; i < len(r.Actions); i++ {
		if r.Actions[i].Op == podplan.KillContainer {
			end := i
			for end < len(r.Actions) && r.Actions[end].Op == podplan.KillContainer {
				end++
			}
			if err := w.killAll(ctx, o.Pod, r.Actions[i:end]); err != nil {
				return err
			}
			i = end - 1
			continue
		}
		if err := w.step(ctx, o, r.Actions[i]); err != nil {
			return err
		}
	}
	return nil
}

// prepare puts volumes in place before anything is started.
func (w *worker) prepare(ctx context.Context, pod *corev1.Pod, actions []podplan.Action) error {
	for _, a := range actions {
		if a.Op == podplan.RunSandbox || a.Op == podplan.StartContainer && w.paths == nil {
			return w.mountVolumes(ctx, pod)
		}
	}
	return nil
}

func (w *worker) mountVolumes(ctx context.Context, pod *corev1.Pod) error {
	f := w.a.fields(pod, w.ips)
	paths, err := w.a.volumes.Setup(ctx, pod, volume.Fields{
		Field: f.field,
		Resource: func(sel *corev1.ResourceFieldSelector) (string, error) {
			return f.resource(sel, nil)
		},
		Image: func(ctx context.Context, v *corev1.Volume, dir string) error { return w.mountImage(ctx, pod, v, dir) },
	})
	if err != nil {
		if ctx.Err() == nil {
			w.event(pod, nil, corev1.EventTypeWarning, "FailedMount", err.Error())
		}
		return err
	}
	w.paths, w.readOnly, w.refreshed = paths, readOnlyVolumes(pod), time.Now()
	w.mu.Lock()
	w.mu.volumes = paths
	w.mu.Unlock()
	return nil
}

// refresh brings content volumes of a running pod up to date.
func (w *worker) refresh(ctx context.Context, pod *corev1.Pod) {
	if w.paths == nil && len(w.ips) == 0 {
		return
	}
	if err := w.mountVolumes(ctx, pod); err != nil {
		w.a.log.Info("volumes could not be brought up to date", "namespace", w.ref.Namespace, "name", w.ref.Name, "err", err)
	}
}

func (w *worker) killAll(ctx context.Context, pod *corev1.Pod, actions []podplan.Action) error {
	var g errgroup.Group
	for _, a := range actions {
		g.Go(func() error { return w.kill(ctx, pod, a.ID, a.Container, a.Grace, a.Reason) })
	}
	return g.Wait()
}

func (w *worker) step(ctx context.Context, o podplan.Observed, a podplan.Action) error {
	rt := w.a.cfg.Runtime
	switch a.Op {
	case podplan.RunSandbox:
		err := w.runSandbox(ctx, o.Pod, a.Attempt)
		if err != nil && ctx.Err() == nil {
			w.event(o.Pod, nil, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: "+err.Error())
		}
		return err
	case podplan.StopSandbox:
		return w.stopSandbox(ctx, a.ID)
	case podplan.RemoveSandbox:
		return rt.RemoveSandbox(ctx, a.ID)
	case podplan.RemoveContainer:
		return rt.RemoveContainer(ctx, a.ID)
	case podplan.StartContainer:
		return w.start(ctx, o, a)
	case podplan.ResizePod:
		return w.resizePod(ctx, o)
	}
	return fmt.Errorf("unknown action %q", a.Op)
}

func (w *worker) stopSandbox(ctx context.Context, id string) error {
	if err := w.a.cfg.Runtime.StopSandbox(ctx, id); err != nil {
		return err
	}
	return w.teardownNetwork(ctx)
}

func (w *worker) teardownNetwork(ctx context.Context) error {
	pod, _ := w.current()
	if pod.Spec.HostNetwork {
		return nil
	}
	return w.a.cfg.Network.Teardown(ctx, w.ref.UID, w.a.netnsPath(w.ref.UID), pod)
}

// start starts a container; if that fails it is held for a while, and the other
// containers go on.
func (w *worker) start(ctx context.Context, o podplan.Observed, a podplan.Action) error {
	sb, ok := runningSandbox(o.State)
	if !ok {
		return fmt.Errorf("container %s: the pod has no sandbox", a.Container.Name)
	}
	delete(w.holds, a.Container.Name)
	err := w.startContainer(ctx, o.Pod, sb, a.Container, a.Attempt)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	var se *startError
	if errors.As(err, &se) {
		w.holds[a.Container.Name] = podplan.Hold{Until: time.Now().Add(se.retry), Reason: se.reason, Message: se.err.Error()}
	}
	w.a.log.Info("container was not started", "namespace", w.ref.Namespace, "name", w.ref.Name, "container", a.Container.Name, "err", err)
	return nil
}

func runningSandbox(s container.PodState) (container.Sandbox, bool) {
	for _, sb := range s.Sandboxes {
		if sb.State == container.Running {
			return sb, true
		}
	}
	return container.Sandbox{}, false
}

// finish takes away what an ended pod no longer needs; when the pod is to be
// deleted, everything. True when nothing is left.
func (w *worker) finish(ctx context.Context, o podplan.Observed) (bool, error) {
	deleted := o.Removed || o.Pod.DeletionTimestamp != nil
	if !w.tornDown {
		if err := w.teardownNetwork(ctx); err != nil {
			return false, err
		}
		w.a.objects.release(w.ref.UID)
		w.tornDown = true
	}
	if !deleted {
		return false, nil
	}
	if err := w.a.removePod(ctx, w.ref, o.State); err != nil {
		return false, err
	}
	if !o.Removed {
		w.a.status.finish(o.Pod)
	}
	return true, nil
}

// removePod removes containers, sandboxes, volumes, logs and cgroups of a pod
// of which nothing runs.
func (a *Agent) removePod(ctx context.Context, ref container.PodRef, state container.PodState) error {
	for _, c := range state.Containers {
		if err := a.cfg.Runtime.RemoveContainer(ctx, c.ID); err != nil {
			return err
		}
	}
	for _, s := range state.Sandboxes {
		if err := a.cfg.Runtime.RemoveSandbox(ctx, s.ID); err != nil {
			return err
		}
	}
	if err := a.volumes.Teardown(ref.UID); err != nil {
		return err
	}
	if err := a.cfg.Runtime.ReleaseImages(ctx, ref.UID); err != nil {
		return err
	}
	if err := os.RemoveAll(a.logDir(ref)); err != nil {
		return err
	}
	for _, class := range []string{"", "burstable", "besteffort"} {
		if err := RemoveCgroup(filepath.Join(a.cfg.CgroupParent, "kubepods", class, "pod"+ref.UID)); err != nil {
			return err
		}
	}
	return nil
}
