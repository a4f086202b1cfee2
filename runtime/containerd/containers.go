package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/signal"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pintle-io/pintle/runtime/container"
)

// CreateContainer prepares the root file system and the spec.
func (r *Runtime) CreateContainer(ctx context.Context, cfg container.Config) (string, error) {
	ctx = r.scope(ctx)
	id := container.ID(cfg.Pod.UID, cfg.Name, cfg.Attempt)
	img, icfg, err := r.Resolve(ctx, cfg.Image)
	if err != nil {
		return "", err
	}
	sb, err := r.sandboxInfo(ctx, cfg.SandboxID)
	if err != nil {
		return "", native(fmt.Errorf("sandbox of container %s: %w", cfg.Name, err))
	}
	opts, err := r.containerSpec(cfg, icfg, sb)
	if err != nil {
		return "", err
	}
	if cfg.StopSignal == "" {
		cfg.StopSignal = icfg.StopSignal
	}
	labels, err := containerLabels(cfg)
	if err != nil {
		return "", err
	}
	labels[labelImageRef] = r.ShownRef(img)
	rt, err := r.sandboxRuntime(ctx, cfg.SandboxID)
	if err != nil {
		return "", err
	}
	err = r.newContainer(ctx, id, img, labels, opts, rt)
	if errdefs.IsAlreadyExists(err) {
		// Either the whole container, or a snapshot that a crash left behind.
		if _, lerr := r.client.LoadContainer(ctx, id); errdefs.IsNotFound(lerr) {
			if err := r.client.SnapshotService(r.cfg.Snapshotter).Remove(ctx, id); ignoreNotFound(err) != nil {
				return "", err
			}
			err = r.newContainer(ctx, id, img, labels, opts, rt)
		}
	}
	if err != nil {
		return "", native(fmt.Errorf("create container %s: %w", cfg.Name, err))
	}
	r.remember(id, cfg.Pod.UID)
	return id, nil
}

func (r *Runtime) newContainer(ctx context.Context, id string, img client.Image, labels map[string]string, opts []oci.SpecOpts, rt containers.RuntimeInfo) error {
	create := func() error {
		_, err := r.client.NewContainer(ctx, id,
			client.WithSnapshotter(r.cfg.Snapshotter),
			client.WithNewSnapshot(id, img),
			func(_ context.Context, _ *client.Client, c *containers.Container) error {
				c.Runtime = rt
				return nil
			},
			client.WithNewSpec(opts...),
			recordUser(labels),
			client.WithContainerLabels(labels),
		)
		return err
	}
	err := create()
	if errdefs.IsNotFound(err) {
		// The image was not unpacked, or its snapshots were collected.
		if uerr := img.Unpack(ctx, r.cfg.Snapshotter); uerr != nil {
			return uerr
		}
		err = create()
	}
	if err != nil && !errdefs.IsAlreadyExists(err) {
		rerr := r.client.SnapshotService(r.cfg.Snapshotter).Remove(context.WithoutCancel(ctx), id)
		err = errors.Join(err, ignoreNotFound(rerr))
	}
	return err
}

// recordUser notes whom the process runs as, which is known once the spec is made.
func recordUser(labels map[string]string) client.NewContainerOpts {
	return func(_ context.Context, _ *client.Client, c *containers.Container) error {
		var s specs.Spec
		if err := json.Unmarshal(c.Spec.GetValue(), &s); err != nil {
			return err
		}
		u := user{UID: int64(s.Process.User.UID), GID: int64(s.Process.User.GID)}
		for _, g := range s.Process.User.AdditionalGids {
			u.Groups = append(u.Groups, int64(g))
		}
		b, err := json.Marshal(u)
		labels[labelUser] = string(b)
		return err
	}
}

// sandboxRuntime makes containers use the same runtime as their sandbox.
func (r *Runtime) sandboxRuntime(ctx context.Context, id string) (containers.RuntimeInfo, error) {
	c, err := r.client.ContainerService().Get(ctx, id)
	return c.Runtime, native(err)
}

// StartContainer connects the container's output and starts it.
func (r *Runtime) StartContainer(ctx context.Context, id string) error {
	ctx = r.scope(ctx)
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return native(err)
	}
	info, err := c.Info(ctx, client.WithoutRefreshedMetadata)
	if err != nil {
		return native(err)
	}
	if info.Labels[labelStarted] != "" {
		return fmt.Errorf("start container: %w: it was started before", container.ErrAlreadyExists)
	}
	flags := parseIOFlags(info.Labels[labelIO])
	if _, err := r.openStream(id, flags, info.Labels[labelLogPath]); err != nil {
		return err
	}
	err = r.startTask(ctx, c, taskIO{r.fifos(id, flags)})
	if err != nil {
		r.closeStream(id)
		return r.recordStartError(ctx, c, err)
	}
	r.widen(id, flags)
	return nil
}

func (r *Runtime) startTask(ctx context.Context, c client.Container, tio cio.IO) error {
	task, err := r.newTask(ctx, c, func(string) (cio.IO, error) { return tio, nil })
	if err != nil {
		return fmt.Errorf("create container process: %w", err)
	}
	if err = task.Start(ctx); err == nil {
		_, err = c.SetLabels(ctx, map[string]string{labelStarted: stamp(time.Now())})
	}
	if err != nil {
		_, derr := task.Delete(context.WithoutCancel(ctx), client.WithProcessKill)
		return fmt.Errorf("start container process: %w", errors.Join(err, ignoreNotFound(derr)))
	}
	return nil
}

// startErrorCode is the exit code of a container that could not be started.
const startErrorCode = 128

// recordStartError notes in the container's record that it has ended.
func (r *Runtime) recordStartError(ctx context.Context, c client.Container, cause error) error {
	ctx = context.WithoutCancel(ctx)
	now := time.Now()
	labels := exitLabels(startErrorCode, now, "")
	labels[labelStarted] = stamp(now)
	// Labels are bounded by 4096 bytes.
	text := cause.Error()
	labels[labelStartError] = text[:min(len(text), 2048)]
	_, err := c.SetLabels(ctx, labels)
	return errors.Join(cause, err)
}

// StopContainer signals, waits and kills.
func (r *Runtime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	ctx = r.scope(ctx)
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return ignoreNotFound(err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return ignoreNotFound(err)
	}
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	exited, err := task.Wait(waitCtx)
	if err != nil {
		return ignoreNotFound(err)
	}
	if grace > 0 {
		sig := r.stopSignal(ctx, c)
		if err := task.Kill(ctx, sig); err != nil {
			// It has exited: containerd says not found.
			return ignoreNotFound(err)
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	if err := task.Kill(ctx, syscall.SIGKILL, client.WithKillAll); ignoreNotFound(err) != nil {
		return fmt.Errorf("kill container: %w", err)
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Runtime) stopSignal(ctx context.Context, c client.Container) syscall.Signal {
	labels, err := c.Labels(ctx)
	if err == nil && labels[labelStopSignal] != "" {
		if s, err := signal.ParseSignal(labels[labelStopSignal]); err == nil {
			return s
		}
	}
	return syscall.SIGTERM
}

// RemoveContainer kills what still runs and deletes everything but the log.
func (r *Runtime) RemoveContainer(ctx context.Context, id string) error {
	ctx = r.scope(ctx)
	if err := r.killTask(ctx, id); ignoreNotFound(err) != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	r.closeStream(id)
	if err := r.client.SnapshotService(r.cfg.Snapshotter).Remove(ctx, id); ignoreNotFound(err) != nil {
		return fmt.Errorf("remove container's file system: %w", err)
	}
	if err := r.client.ContainerService().Delete(ctx, id); ignoreNotFound(err) != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	r.forget(id)
	return os.RemoveAll(filepath.Join(r.cfg.StateDir, "io", id))
}
