// Package containerd runs the agent's sandboxes and containers on containerd,
// through its client API (not CRI), which is the same in containerd 1.6 and 2.
//
// All state is with containerd: what a container is, is written in its labels,
// and how it ended is written there too before its task is deleted. The process
// holding a Runtime may die at any moment; the next one finds everything again
// and reconnects to the output pipes, which the containers' shims keep open.
//
// It never decides what should run. Methods are safe for concurrent use for
// different pods.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/image"
	"github.com/pintle-io/pintle/runtime/logs"
)

const shimRuntime = "io.containerd.runc.v2"

// Config of a Runtime. Address and StateDir are required.
type Config struct {
	// Address is the path of containerd's socket.
	Address string
	// Namespace in containerd; one per node (default "k8s.io").
	Namespace string
	// StateDir holds output pipes and the pause program.
	StateDir string
	// Snapshotter (default "overlayfs").
	Snapshotter string
	// Handlers maps RuntimeClass handlers to the binaries that implement them;
	// "" and "runc" are always known.
	Handlers map[string]string
	// RegistryHosts is a folder of hosts.toml files, as containerd's certs.d.
	RegistryHosts string
	LogLimits     logs.Limits
	Logger        *slog.Logger
}

// Runtime implements container.Runtime.
type Runtime struct {
	*image.Store
	cfg       Config
	client    *client.Client
	pauseRoot string
	// minOOM is the lowest oom_score_adj that may be set here.
	minOOM int

	mu struct {
		sync.Mutex
		streams map[string]*stream // by id of a running container
		pods    map[string]string  // container id to pod UID, for events
	}
}

var _ container.Runtime = (*Runtime)(nil)

// New connects to containerd. Close the Runtime to disconnect; containers run on.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if cfg.Namespace == "" {
		cfg.Namespace = "k8s.io"
	}
	if cfg.Snapshotter == "" {
		cfg.Snapshotter = "overlayfs"
	}
	if cfg.LogLimits == (logs.Limits{}) {
		cfg.LogLimits = logs.DefaultLimits
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(cfg.StateDir, "io"), 0o700); err != nil {
		return nil, err
	}
	// Left by interrupted execs.
	if err := os.RemoveAll(filepath.Join(cfg.StateDir, "exec")); err != nil {
		return nil, err
	}
	root, err := installPause(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	c, err := client.New(cfg.Address, client.WithDefaultNamespace(cfg.Namespace))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd at %s: %w", cfg.Address, err)
	}
	r := &Runtime{
		Store:     image.NewStore(c, image.Config{Namespace: cfg.Namespace, Snapshotter: cfg.Snapshotter, RegistryHosts: cfg.RegistryHosts}),
		cfg:       cfg,
		client:    c,
		pauseRoot: root,
		minOOM:    lowestOOMScore(),
	}
	r.mu.streams = map[string]*stream{}
	r.mu.pods = map[string]string{}
	return r, nil
}

// Close disconnects from containerd and stops copying output; containers run on.
func (r *Runtime) Close() error {
	r.mu.Lock()
	streams := r.mu.streams
	r.mu.streams = map[string]*stream{}
	r.mu.Unlock()
	for _, s := range streams {
		s.close()
	}
	return r.client.Close()
}

// Version names the runtime, as in "containerd://1.6.20".
func (r *Runtime) Version(ctx context.Context) (string, error) {
	v, err := r.client.Version(r.scope(ctx))
	if err != nil {
		return "", fmt.Errorf("containerd version: %w", err)
	}
	return "containerd://" + v.Version, nil
}

// scope puts containerd's namespace into ctx.
func (r *Runtime) scope(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, r.cfg.Namespace)
}

// native turns containerd's errors into those of package container.
func native(err error) error {
	switch {
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%w: %w", container.ErrNotFound, err)
	case errdefs.IsAlreadyExists(err):
		return fmt.Errorf("%w: %w", container.ErrAlreadyExists, err)
	}
	return err
}

// ignoreNotFound drops errors about things that are gone already.
func ignoreNotFound(err error) error {
	if errdefs.IsNotFound(err) || errors.Is(err, container.ErrNotFound) {
		return nil
	}
	return err
}

func (r *Runtime) remember(id, podUID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.pods[id] = podUID
}

func (r *Runtime) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.pods, id)
}
