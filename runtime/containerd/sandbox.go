package containerd

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pintle-io/pintle/runtime/container"
)

// RunSandbox starts a pause process that holds the pod's namespaces.
func (r *Runtime) RunSandbox(ctx context.Context, cfg container.SandboxConfig) (string, error) {
	ctx = r.scope(ctx)
	id := container.ID(cfg.Pod.UID, container.SandboxName, cfg.Attempt)
	opts, err := r.runtimeOptions(cfg.Handler)
	if err != nil {
		return "", err
	}
	c, err := r.client.NewContainer(ctx, id,
		client.WithRuntime(shimRuntime, opts),
		client.WithContainerLabels(sandboxLabels(cfg)),
		client.WithNewSpec(r.sandboxSpec(cfg, id)...),
	)
	if err != nil {
		return "", native(fmt.Errorf("create sandbox: %w", err))
	}
	r.remember(id, cfg.Pod.UID)
	if err := r.start(ctx, c); err != nil {
		cleanup := context.WithoutCancel(ctx)
		if rerr := r.RemoveSandbox(cleanup, id); rerr != nil {
			r.cfg.Logger.Error("remove failed sandbox", "uid", cfg.Pod.UID, "err", rerr)
		}
		return "", fmt.Errorf("start sandbox: %w", err)
	}
	return id, nil
}

func (r *Runtime) start(ctx context.Context, c client.Container) error {
	task, err := r.newTask(ctx, c, cio.NullIO)
	if err != nil {
		return err
	}
	return task.Start(ctx)
}

// newTask creates the process of a container. Ids are derived, so one that a
// crash left half-made with runc is in the way of its own second try: it is
// deleted.
func (r *Runtime) newTask(ctx context.Context, c client.Container, io cio.Creator) (client.Task, error) {
	task, err := c.NewTask(ctx, io)
	if err == nil || !strings.Contains(err.Error(), "container with given ID already exists") {
		return task, err
	}
	root := filepath.Join(r.cfg.StateDir, "runc", r.cfg.Namespace)
	out, derr := exec.CommandContext(ctx, "runc", "--root", root, "delete", "--force", c.ID()).CombinedOutput()
	if derr != nil {
		return nil, fmt.Errorf("%w; removing it: %w: %s", err, derr, out)
	}
	return c.NewTask(ctx, io)
}

func (r *Runtime) runtimeOptions(handler string) (*options.Options, error) {
	opts := &options.Options{Root: filepath.Join(r.cfg.StateDir, "runc")}
	switch binary, ok := r.cfg.Handlers[handler]; {
	case ok:
		opts.BinaryName = binary
		return opts, nil
	case handler == "" || handler == "runc":
		return opts, nil
	}
	return nil, fmt.Errorf("no runtime for handler %q is configured", handler)
}

func (r *Runtime) sandboxSpec(cfg container.SandboxConfig, id string) []oci.SpecOpts {
	return []oci.SpecOpts{
		base(cfg.CgroupParent, id, id),
		oci.WithRootFSPath(r.pauseRoot),
		oci.WithRootFSReadonly(),
		oci.WithProcessArgs("/pause"),
		oci.WithCapabilities(nil),
		oci.WithNoNewPrivileges,
		// Two shares: the pause process never runs.
		resources(container.Resources{CPUShares: 2, OOMScoreAdj: -998}, r.minOOM),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool {
				return m.Destination != "/proc" && m.Destination != "/dev"
			})
			s.Linux.Sysctl = cfg.Sysctls
			sandboxNamespaces(cfg, s)
			return nil
		},
	}
}

func sandboxNamespaces(cfg container.SandboxConfig, s *specs.Spec) {
	keep := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	if cfg.NetNSPath != "" {
		keep = append(keep, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: cfg.NetNSPath})
	}
	if !cfg.HostNetwork {
		keep = append(keep, specs.LinuxNamespace{Type: specs.UTSNamespace})
		s.Hostname = cfg.Hostname
	}
	if !cfg.HostIPC {
		keep = append(keep, specs.LinuxNamespace{Type: specs.IPCNamespace})
	}
	if !cfg.HostPID {
		keep = append(keep, specs.LinuxNamespace{Type: specs.PIDNamespace})
	}
	s.Linux.Namespaces = keep
	// Recorded for the containers that join later.
	s.Annotations[annHostNetwork] = fmt.Sprint(cfg.HostNetwork)
	s.Annotations[annHostPID] = fmt.Sprint(cfg.HostPID)
	s.Annotations[annHostIPC] = fmt.Sprint(cfg.HostIPC)
	s.Annotations[annSharePID] = fmt.Sprint(cfg.SharePID)
}

const (
	annHostNetwork = "pintle.io/host-network"
	annHostPID     = "pintle.io/host-pid"
	annHostIPC     = "pintle.io/host-ipc"
	annSharePID    = "pintle.io/share-pid"
)

// sandboxInfo reads back what the containers of a sandbox must know.
func (r *Runtime) sandboxInfo(ctx context.Context, id string) (sandboxInfo, error) {
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return sandboxInfo{}, err
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return sandboxInfo{}, err
	}
	spec, err := c.Spec(ctx)
	if err != nil {
		return sandboxInfo{}, err
	}
	info := sandboxInfo{
		Pid:         task.Pid(),
		HostNetwork: spec.Annotations[annHostNetwork] == "true",
		HostPID:     spec.Annotations[annHostPID] == "true",
		HostIPC:     spec.Annotations[annHostIPC] == "true",
		SharePID:    spec.Annotations[annSharePID] == "true",
	}
	for _, n := range spec.Linux.Namespaces {
		if n.Type == specs.NetworkNamespace {
			info.NetNSPath = n.Path
		}
	}
	return info, nil
}

// StopSandbox kills the pause process.
func (r *Runtime) StopSandbox(ctx context.Context, id string) error {
	ctx = r.scope(ctx)
	if err := r.killTask(ctx, id); ignoreNotFound(err) != nil {
		return fmt.Errorf("stop sandbox: %w", err)
	}
	return nil
}

// RemoveSandbox stops the sandbox and forgets it.
func (r *Runtime) RemoveSandbox(ctx context.Context, id string) error {
	ctx = r.scope(ctx)
	if err := r.StopSandbox(ctx, id); err != nil {
		return err
	}
	err := r.client.ContainerService().Delete(ctx, id)
	if ignoreNotFound(err) != nil {
		return fmt.Errorf("remove sandbox: %w", err)
	}
	r.forget(id)
	return nil
}

// killTask kills all processes of a container and deletes its task.
func (r *Runtime) killTask(ctx context.Context, id string) error {
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return err
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return err
	}
	exited, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	// A task that was created but not started, or has exited, cannot be killed.
	if err := task.Kill(ctx, syscall.SIGKILL, client.WithKillAll); err == nil {
		select {
		case <-exited:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err = task.Delete(ctx, client.WithProcessKill)
	return err
}
