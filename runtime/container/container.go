// Package container owns the vocabulary between the node agent and whatever
// runs containers on the machine: sandboxes (what the containers of a pod
// share), containers, images, and streams into them. It holds no
// implementation; runtime/containerd is the real one, runtime/container/fake
// the one for tests, and both pass runtime/container/containertest.
//
// Every method of Runtime may be called concurrently for different pods. The
// agent calls the mutating methods of one pod from one goroutine at a time.
package container

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	// ErrNotFound says that the named sandbox, container or image does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists says that this attempt of the container was created before.
	ErrAlreadyExists = errors.New("already exists")
	// ErrNotRunning says that the container has no running process.
	ErrNotRunning = errors.New("container is not running")
)

// Runtime is everything the agent needs of a container runtime.
type Runtime interface {
	Sandboxes
	Containers
	Streams
	Images
	Observer
}

// Sandboxes makes and ends what the containers of one pod share: the network,
// IPC and UTS namespaces, and the PID namespace if asked for.
type Sandboxes interface {
	// RunSandbox creates and starts a sandbox and returns its id. Running the
	// same attempt of the same pod again returns ErrAlreadyExists.
	RunSandbox(ctx context.Context, cfg SandboxConfig) (string, error)
	// StopSandbox kills the sandbox's process. Stopping a stopped or missing
	// sandbox is no error.
	StopSandbox(ctx context.Context, id string) error
	// RemoveSandbox stops and forgets the sandbox; a missing one is no error.
	RemoveSandbox(ctx context.Context, id string) error
}

// Containers makes and ends single containers.
type Containers interface {
	// CreateContainer prepares the container (image, root file system, spec)
	// and returns its id; nothing runs yet. The id follows from pod UID, name
	// and attempt, so that the same attempt can never be made twice: the second
	// time returns ErrAlreadyExists.
	CreateContainer(ctx context.Context, cfg Config) (string, error)
	// StartContainer starts a created container, once. A container that cannot
	// be started is Exited afterwards.
	StartContainer(ctx context.Context, id string) error
	// StopContainer sends the stop signal, waits for the grace period, then
	// kills. Returns when the container has exited or ctx ends. A container
	// that does not run is no error.
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	// UpdateContainer puts other processor shares, quota and memory limit in force
	// for a running container; zeroes lift them. The annotations are kept with the
	// container beside those it has, after that has succeeded.
	UpdateContainer(ctx context.Context, id string, res Resources, annotations map[string]string) error
	// RemoveContainer kills what still runs and deletes the container with its
	// root file system; a missing one is no error. The log file stays.
	RemoveContainer(ctx context.Context, id string) error
}

// Streams runs commands in and connects to running containers.
type Streams interface {
	// Exec runs a command and returns its exit code. The error is not nil only
	// if the command could not be run to its end.
	Exec(ctx context.Context, id string, opts ExecOptions) (int, error)
	// Attach connects to the container's own process until it exits, the
	// output's reader goes away or ctx ends.
	Attach(ctx context.Context, id string, opts AttachOptions) error
}

// Images keeps the machine's images. References are normalized as by docker:
// "web" is "docker.io/library/web:latest".
type Images interface {
	PullImage(ctx context.Context, ref string, creds []Credential) (Image, error)
	// ImportImages reads an OCI or docker archive and returns what it held.
	ImportImages(ctx context.Context, archive io.Reader) ([]Image, error)
	// Image finds by reference, by name@digest or by image id.
	Image(ctx context.Context, ref string) (Image, error)
	Images(ctx context.Context) ([]Image, error)
	RemoveImage(ctx context.Context, ref string) error
	// MountImage mounts the files of a local image at dir, read-only, as a pod's
	// volume; again is no error. Whoever unmounts it then calls ReleaseImages.
	MountImage(ctx context.Context, podUID, volume, ref, dir string) error
	ReleaseImages(ctx context.Context, podUID string) error
}

// Observer says what is there.
type Observer interface {
	// Pod returns all sandboxes and containers of a pod, every attempt, oldest
	// first.
	Pod(ctx context.Context, uid string) (PodState, error)
	// Pods lists all pods that have any sandbox or container.
	Pods(ctx context.Context) ([]PodRef, error)
	// Events sends a hint whenever something of a pod may have changed; an
	// empty UID means "look at everything again". It closes when ctx ends.
	Events(ctx context.Context) <-chan Event
	// Stats measures all running containers and sandboxes, by id.
	Stats(ctx context.Context) (map[string]Stats, error)
	// DiskUsage measures what a container has written to its root file system.
	DiskUsage(ctx context.Context, id string) (DiskUsage, error)
	// Version names the runtime, as in "containerd://1.6.20".
	Version(ctx context.Context) (string, error)
}

// Event is a hint that a pod changed.
type Event struct {
	PodUID string
}
