// Package fake is a container runtime in memory, for tests of the agent. Its
// containers "run" a command of the form sh -c SCRIPT, where the script is made
// of the statements echo TEXT, exit N, sleep (for ever) and trap (ignore the
// stop signal), separated by semicolons. Everything else runs for ever.
//
// A Fake is safe for concurrent use. It passes containertest.
package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/logs"
)

// Fake implements container.Runtime.
type Fake struct {
	mu struct {
		sync.Mutex
		sandboxes  map[string]*container.Sandbox
		containers map[string]*process
		images     map[string]container.Image
		pullErrors map[string]error
		events     []chan container.Event
	}
}

var _ container.Runtime = (*Fake)(nil)

type process struct {
	container.Container
	cfg     container.Config
	ignores bool // the stop signal
	exited  chan struct{}
}

// New has the images named.
func New(images ...string) *Fake {
	f := &Fake{}
	f.mu.sandboxes = map[string]*container.Sandbox{}
	f.mu.containers = map[string]*process{}
	f.mu.images = map[string]container.Image{}
	f.mu.pullErrors = map[string]error{}
	for _, name := range images {
		f.mu.images[name] = container.Image{ID: "sha256:" + name, Names: []string{name}, Ref: name + "@sha256:0"}
	}
	return f
}

// FailPull makes pulls of ref fail; nil lets them succeed again.
func (f *Fake) FailPull(ref string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.pullErrors[ref] = err
}

// Exit ends a running container as if by itself.
func (f *Fake) Exit(id string, code int) { f.end(id, code) }

// KillSandbox ends a sandbox's process behind the agent's back.
func (f *Fake) KillSandbox(id string) {
	f.mu.Lock()
	s := f.mu.sandboxes[id]
	s.State = container.Exited
	uid := s.Pod.UID
	f.mu.Unlock()
	f.notify(uid)
}

// RunSandbox implements container.Sandboxes.
func (f *Fake) RunSandbox(_ context.Context, cfg container.SandboxConfig) (string, error) {
	id := container.ID(cfg.Pod.UID, container.SandboxName, cfg.Attempt)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.sandboxes[id] != nil {
		return "", container.ErrAlreadyExists
	}
	f.mu.sandboxes[id] = &container.Sandbox{
		ID: id, Pod: cfg.Pod, Attempt: cfg.Attempt, State: container.Running,
		CreatedAt: time.Now(), IPs: cfg.IPs, NetNSPath: cfg.NetNSPath,
	}
	return id, nil
}

// StopSandbox implements container.Sandboxes.
func (f *Fake) StopSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.mu.sandboxes[id]; s != nil {
		s.State = container.Exited
	}
	return nil
}

// RemoveSandbox implements container.Sandboxes.
func (f *Fake) RemoveSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.sandboxes, id)
	return nil
}

// CreateContainer implements container.Containers.
func (f *Fake) CreateContainer(_ context.Context, cfg container.Config) (string, error) {
	id := container.ID(cfg.Pod.UID, cfg.Name, cfg.Attempt)
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.mu.images[cfg.Image]
	if !ok {
		return "", fmt.Errorf("image %s: %w", cfg.Image, container.ErrNotFound)
	}
	if sb := f.mu.sandboxes[cfg.SandboxID]; sb == nil || sb.State != container.Running {
		return "", fmt.Errorf("sandbox of container %s: %w", cfg.Name, container.ErrNotFound)
	}
	if f.mu.containers[id] != nil {
		return "", container.ErrAlreadyExists
	}
	f.mu.containers[id] = &process{
		cfg: cfg, exited: make(chan struct{}),
		Container: container.Container{
			ID: id, Pod: cfg.Pod, SandboxID: cfg.SandboxID, Name: cfg.Name, Attempt: cfg.Attempt,
			State: container.Created, Image: cfg.Image, ImageID: img.Ref, Hash: cfg.Hash,
			LogPath: cfg.LogPath, CreatedAt: time.Now(), Annotations: cfg.Annotations,
		},
	}
	return id, nil
}

// StartContainer implements container.Containers.
func (f *Fake) StartContainer(_ context.Context, id string) error {
	f.mu.Lock()
	p := f.mu.containers[id]
	if p == nil {
		f.mu.Unlock()
		return container.ErrNotFound
	}
	if p.State != container.Created {
		f.mu.Unlock()
		return container.ErrAlreadyExists
	}
	p.State, p.StartedAt, p.Pid = container.Running, time.Now(), 1
	f.mu.Unlock()
	return f.run(p)
}

func (f *Fake) run(p *process) error {
	script := ""
	if all := append(slices.Clone(p.cfg.Command), p.cfg.Args...); len(all) == 3 && all[1] == "-c" {
		script = all[2]
	}
	w, err := logs.NewWriter(p.LogPath, logs.Limits{})
	if err != nil {
		return err
	}
	defer w.Close()
	for stmt := range strings.SplitSeq(script, ";") {
		word, arg, _ := strings.Cut(strings.TrimSpace(stmt), " ")
		switch word {
		case "echo":
			if err := w.Copy(logs.Stdout, strings.NewReader(arg+"\n")); err != nil {
				return err
			}
		case "trap":
			p.ignores = true
		case "exit":
			code, err := strconv.Atoi(arg)
			f.end(p.ID, code)
			return err
		}
	}
	return nil
}

func (f *Fake) end(id string, code int) {
	f.mu.Lock()
	p := f.mu.containers[id]
	if p == nil || p.State != container.Running {
		f.mu.Unlock()
		return
	}
	p.State, p.FinishedAt, p.ExitCode, p.Pid = container.Exited, time.Now(), code, 0
	close(p.exited)
	f.mu.Unlock()
	f.notify(p.Pod.UID)
}

func (f *Fake) notify(uid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.mu.events {
		select {
		case ch <- container.Event{PodUID: uid}:
		default:
		}
	}
}

func (f *Fake) get(id string) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.containers[id]
}

// StopContainer implements container.Containers.
func (f *Fake) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	p := f.get(id)
	if p == nil {
		return nil
	}
	if grace > 0 && !p.ignores {
		f.end(id, 143)
		return nil
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(grace):
		f.end(id, 137)
	}
	return nil
}

// RemoveContainer implements container.Containers.
func (f *Fake) RemoveContainer(_ context.Context, id string) error {
	f.end(id, 137)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.containers, id)
	return nil
}

// Exec implements container.Streams: it interprets the same scripts.
func (f *Fake) Exec(_ context.Context, id string, opts container.ExecOptions) (int, error) {
	p := f.get(id)
	if p == nil || p.State != container.Running {
		return 0, container.ErrNotRunning
	}
	if len(opts.Command) != 3 {
		return 0, nil
	}
	for stmt := range strings.SplitSeq(opts.Command[2], ";") {
		switch word, arg, _ := strings.Cut(strings.TrimSpace(stmt), " "); word {
		case "echo":
			if _, err := fmt.Fprintln(opts.Stdout, arg); err != nil {
				return 0, err
			}
		case "cat":
			if _, err := io.Copy(opts.Stdout, opts.Stdin); err != nil {
				return 0, err
			}
		case "exit":
			return strconv.Atoi(arg)
		}
	}
	return 0, nil
}

// Attach implements container.Streams: it waits for the end.
func (f *Fake) Attach(ctx context.Context, id string, _ container.AttachOptions) error {
	p := f.get(id)
	if p == nil || p.State != container.Running {
		return container.ErrNotRunning
	}
	select {
	case <-ctx.Done():
	case <-p.exited:
	}
	return nil
}

// PullImage implements container.Images.
func (f *Fake) PullImage(_ context.Context, ref string, _ []container.Credential) (container.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.mu.pullErrors[ref]; err != nil {
		return container.Image{}, err
	}
	img := container.Image{ID: "sha256:" + ref, Names: []string{ref}, Ref: ref + "@sha256:0"}
	f.mu.images[ref] = img
	return img, nil
}

// ImportImages implements container.Images; the fake reads no archives.
func (f *Fake) ImportImages(context.Context, io.Reader) ([]container.Image, error) {
	return nil, errors.New("the fake runtime imports no archives")
}

// Image implements container.Images.
func (f *Fake) Image(_ context.Context, ref string) (container.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.mu.images[ref]
	if !ok {
		return img, container.ErrNotFound
	}
	return img, nil
}

// Images implements container.Images.
func (f *Fake) Images(context.Context) ([]container.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []container.Image
	for _, i := range f.mu.images {
		out = append(out, i)
	}
	return out, nil
}

// RemoveImage implements container.Images.
func (f *Fake) RemoveImage(_ context.Context, ref string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.images, ref)
	return nil
}

// Pod implements container.Observer.
func (f *Fake) Pod(_ context.Context, uid string) (container.PodState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out container.PodState
	for _, s := range f.mu.sandboxes {
		if s.Pod.UID == uid {
			out.Sandboxes = append(out.Sandboxes, *s)
		}
	}
	for _, p := range f.mu.containers {
		if p.Pod.UID == uid {
			out.Containers = append(out.Containers, p.Container)
		}
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

// Pods implements container.Observer.
func (f *Fake) Pods(context.Context) ([]container.PodRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[container.PodRef]bool{}
	for _, s := range f.mu.sandboxes {
		seen[s.Pod] = true
	}
	for _, p := range f.mu.containers {
		seen[p.Pod] = true
	}
	var out []container.PodRef
	for p := range seen {
		out = append(out, p)
	}
	return out, nil
}

// Events implements container.Observer.
func (f *Fake) Events(ctx context.Context) <-chan container.Event {
	in, out := make(chan container.Event, 1024), make(chan container.Event)
	f.mu.Lock()
	f.mu.events = append(f.mu.events, in)
	f.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-in:
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// Stats implements container.Observer.
func (f *Fake) Stats(context.Context) (map[string]container.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]container.Stats{}
	for id, p := range f.mu.containers {
		if p.State == container.Running {
			out[id] = container.Stats{Time: time.Now(), CPUNanos: 1, MemoryUsage: 1, Pids: 1}
		}
	}
	return out, nil
}

// UpdateContainer implements container.Containers.
func (f *Fake) UpdateContainer(_ context.Context, id string, res container.Resources, annotations map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.mu.containers[id]
	switch {
	case p == nil:
		return container.ErrNotFound
	case p.State != container.Running:
		return container.ErrNotRunning
	}
	p.cfg.Resources = res
	p.Annotations = maps.Clone(p.Annotations)
	maps.Copy(p.Annotations, annotations)
	return nil
}

// MountImage implements container.Images. It mounts nothing.
func (f *Fake) MountImage(ctx context.Context, _, _, ref, _ string) error {
	_, err := f.Image(ctx, ref)
	return err
}

// ReleaseImages implements container.Images.
func (*Fake) ReleaseImages(context.Context, string) error { return nil }

// DiskUsage implements container.Observer.
func (f *Fake) DiskUsage(_ context.Context, id string) (container.DiskUsage, error) {
	if f.get(id) == nil {
		return container.DiskUsage{}, container.ErrNotFound
	}
	return container.DiskUsage{Bytes: 4096, Inodes: 1}, nil
}

// Version implements container.Observer.
func (f *Fake) Version(context.Context) (string, error) { return "fake://1", nil }
