package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/pintle-io/pintle/runtime/container"
)

// lostExitCode is reported for containers whose end nobody saw.
const lostExitCode = 137

// Pods lists the pods that have anything here.
func (r *Runtime) Pods(ctx context.Context) ([]container.PodRef, error) {
	list, err := r.client.ContainerService().List(r.scope(ctx), `labels."`+labelKind+`"`)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	seen := map[string]bool{}
	var out []container.PodRef
	for _, c := range list {
		r.remember(c.ID, c.Labels[labelPodUID])
		if p := podOf(c.Labels); !seen[p.UID] {
			seen[p.UID] = true
			out = append(out, p)
		}
	}
	return out, nil
}

// Pod observes one pod. What it finds ended is recorded and its task deleted;
// what it finds running without its output being copied is connected again.
func (r *Runtime) Pod(ctx context.Context, uid string) (container.PodState, error) {
	ctx = r.scope(ctx)
	var out container.PodState
	list, err := r.client.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%q", labelPodUID, uid))
	if err != nil {
		return out, fmt.Errorf("list containers of pod %s: %w", uid, err)
	}
	for _, c := range list {
		proc, err := r.process(ctx, c.ID)
		if err != nil {
			return out, fmt.Errorf("state of container %s: %w", c.ID, err)
		}
		if c.Labels[labelKind] == kindSandbox {
			out.Sandboxes = append(out.Sandboxes, sandboxOf(c, proc))
			continue
		}
		if c, err = r.settle(ctx, c, proc); err != nil {
			return out, err
		}
		out.Containers = append(out.Containers, containerOf(c, proc))
	}
	slices.SortFunc(out.Sandboxes, func(a, b container.Sandbox) int { return a.Attempt - b.Attempt })
	slices.SortFunc(out.Containers, func(a, b container.Container) int {
		if a.Attempt != b.Attempt {
			return a.Attempt - b.Attempt
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// process returns nil if there is none.
func (r *Runtime) process(ctx context.Context, id string) (*task.Process, error) {
	resp, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	if err = errgrpc.ToNative(err); errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return resp.Process, nil
}

// settle brings the record of a container up to what its process shows.
func (r *Runtime) settle(ctx context.Context, c containers.Container, proc *task.Process) (containers.Container, error) {
	started, finished := c.Labels[labelStarted] != "", c.Labels[labelFinished] != ""
	switch {
	case finished:
		return c, nil
	case proc != nil && proc.Status == task.Status_STOPPED:
		end := ""
		if r.oomKilled(c) {
			end = "oom"
		}
		return r.recordExit(ctx, c, exitLabels(int(proc.ExitStatus), proc.ExitedAt.AsTime(), end))
	case proc == nil && started:
		return r.recordExit(ctx, c, exitLabels(lostExitCode, time.Now(), "lost"))
	case proc != nil && proc.Status == task.Status_RUNNING && r.stream(c.ID) == nil:
		_, err := r.openStream(c.ID, parseIOFlags(c.Labels[labelIO]), c.Labels[labelLogPath])
		return c, err
	}
	return c, nil
}

func (r *Runtime) recordExit(ctx context.Context, c containers.Container, labels map[string]string) (containers.Container, error) {
	h, err := r.client.LoadContainer(ctx, c.ID)
	if err != nil {
		return c, native(err)
	}
	all, err := h.SetLabels(ctx, labels)
	if err != nil {
		return c, native(err)
	}
	c.Labels = all
	if t, err := h.Task(ctx, nil); err == nil {
		if _, err := t.Delete(ctx, client.WithProcessKill); ignoreNotFound(err) != nil {
			return c, fmt.Errorf("delete ended process: %w", err)
		}
	}
	r.closeStream(c.ID)
	return c, nil
}

// oomKilled asks the container's cgroup, which lives until its task is deleted.
func (r *Runtime) oomKilled(c containers.Container) bool {
	var spec struct {
		Linux struct{ CgroupsPath string }
	}
	if err := json.Unmarshal(c.Spec.GetValue(), &spec); err != nil {
		return false
	}
	for _, file := range []string{
		filepath.Join("/sys/fs/cgroup/memory", spec.Linux.CgroupsPath, "memory.oom_control"),
		filepath.Join("/sys/fs/cgroup", spec.Linux.CgroupsPath, "memory.events"),
	} {
		if b, err := os.ReadFile(file); err == nil {
			return oomCount(string(b)) > 0
		}
	}
	return false
}

// oomCount reads the oom_kill line of memory.oom_control (v1) or memory.events (v2).
func oomCount(text string) int {
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return atoi(strings.TrimSpace(n))
		}
	}
	return 0
}

func sandboxOf(c containers.Container, proc *task.Process) container.Sandbox {
	s := container.Sandbox{
		ID: c.ID, Pod: podOf(c.Labels), Attempt: atoi(c.Labels[labelAttempt]), CreatedAt: c.CreatedAt,
		IPs: splitList(c.Labels[labelIPs]), NetNSPath: c.Labels[labelNetNS], State: container.Exited,
	}
	if proc != nil && proc.Status == task.Status_RUNNING {
		s.State = container.Running
	}
	return s
}

func containerOf(c containers.Container, proc *task.Process) container.Container {
	l := c.Labels
	out := container.Container{
		ID: c.ID, Pod: podOf(l), SandboxID: l[labelSandbox], Name: l[labelName], Attempt: atoi(l[labelAttempt]),
		Image: c.Image, ImageID: l[labelImageRef], Hash: l[labelHash], LogPath: l[labelLogPath],
		CreatedAt: c.CreatedAt, StartedAt: parseStamp(l[labelStarted]), FinishedAt: parseStamp(l[labelFinished]),
		ExitCode: atoi(l[labelExitCode]), OOMKilled: l[labelEnd] == "oom", Lost: l[labelEnd] == "lost", StartError: l[labelStartError],
		State: container.Created,
	}
	var u user
	// Written by this package; what cannot be read is left out.
	_ = json.Unmarshal([]byte(l[labelUser]), &u)
	_ = json.Unmarshal([]byte(l[labelAnnotations]), &out.Annotations)
	out.UID, out.GID, out.Groups = u.UID, u.GID, u.Groups
	switch {
	case l[labelFinished] != "":
		out.State = container.Exited
	case proc != nil && proc.Status != task.Status_CREATED && l[labelStarted] != "":
		out.State, out.Pid = container.Running, int(proc.Pid)
	}
	return out
}
