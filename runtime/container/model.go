package container

import (
	"io"
	"time"
)

// PodRef names a pod.
type PodRef struct {
	UID, Namespace, Name string
}

// SandboxConfig describes a sandbox to run.
type SandboxConfig struct {
	Pod     PodRef
	Attempt int
	// Hostname of the UTS namespace; not used with HostNetwork.
	Hostname string
	// NetNSPath is a named network namespace; empty joins the runtime's own.
	NetNSPath string
	// IPs are kept with the sandbox, so that they are found after a restart.
	IPs         []string
	HostNetwork bool
	HostPID     bool
	HostIPC     bool
	// SharePID holds a PID namespace for all containers of the pod.
	SharePID     bool
	CgroupParent string
	Sysctls      map[string]string
	// Handler is the RuntimeClass handler; empty is the default.
	Handler string
}

// Config describes a container to create.
type Config struct {
	Pod       PodRef
	SandboxID string
	Name      string
	Attempt   int
	// Image is the reference to resolve, without pulling.
	Image string
	// Command replaces the image's entrypoint, Args its command.
	Command, Args []string
	// Env is appended to the image's, later ones win.
	Env        []EnvVar
	WorkingDir string
	Mounts     []Mount
	Devices    []Device
	TTY        bool
	Stdin      bool
	StdinOnce  bool
	LogPath    string
	Security   Security
	Resources  Resources
	// CgroupParent is the pod's cgroup, the container's own goes below.
	CgroupParent string
	// StopSignal overrides the image's, as "SIGTERM".
	StopSignal string
	// Hash of the part of the spec whose change needs a new container.
	Hash string
	// Annotations are kept with the container and given back by Pod.
	Annotations map[string]string
}

// EnvVar is one environment variable.
type EnvVar struct{ Name, Value string }

// Mount binds a path of the machine into the container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
	// Propagation is "private", "rslave" or "rshared".
	Propagation string
	// RecursiveReadOnly also makes mounts below read-only.
	RecursiveReadOnly bool
}

// Device passes a device node of the machine.
type Device struct{ Host, Container, Permissions string }

// Security is the container's security context, with all defaults resolved.
type Security struct {
	Privileged         bool
	ReadOnlyRoot       bool
	NoNewPrivileges    bool
	RunAsUser          *int64
	RunAsGroup         *int64
	SupplementalGroups []int64
	// StrictGroups ignores the groups that the image gives the user.
	StrictGroups bool
	AddCaps      []string
	DropCaps     []string
	// Seccomp is "" (unconfined), "runtime/default" or a path of a profile.
	Seccomp string
	// UnmaskedProc leaves /proc as it is.
	UnmaskedProc bool
}

// Resources are the cgroup limits; zero means not set.
type Resources struct {
	CPUShares   uint64
	CPUQuota    int64
	CPUPeriod   uint64
	MemoryLimit int64
	PidsLimit   int64
	OOMScoreAdj int
}

// State is where a container is in its life.
type State string

// The states of a container; a sandbox is either Running or Exited.
const (
	Created State = "Created"
	Running State = "Running"
	Exited  State = "Exited"
)

// Sandbox is an observed sandbox.
type Sandbox struct {
	ID        string
	Pod       PodRef
	Attempt   int
	State     State
	CreatedAt time.Time
	IPs       []string
	NetNSPath string
}

// Container is an observed container.
type Container struct {
	ID        string
	Pod       PodRef
	SandboxID string
	Name      string
	Attempt   int
	State     State
	// Image is the normalized name, ImageID the content it was made from.
	Image, ImageID string
	Hash           string
	LogPath        string
	CreatedAt      time.Time
	StartedAt      time.Time
	FinishedAt     time.Time
	ExitCode       int
	OOMKilled      bool
	// Lost says that the exit was not seen (machine restarted).
	Lost bool
	// StartError is why the container's process could not be started; the
	// container then counts as exited with code 128.
	StartError string
	// Pid of the container's first process while it runs.
	Pid         int
	Annotations map[string]string
	// User that the process runs as.
	UID, GID int64
	Groups   []int64
}

// PodState is everything of one pod.
type PodState struct {
	Sandboxes  []Sandbox
	Containers []Container
}

// Image is a local image.
type Image struct {
	// ID is the digest of the image's configuration.
	ID string
	// Names are tags and name@digest references.
	Names []string
	Size  int64
	// User as the image names it: "", "1000", "app:app".
	User string
	// Ref is what a container's imageID shows: name@digest where known.
	Ref string
}

// Credential is one way to authenticate at a registry host.
type Credential struct {
	// Registry is the host (and optional path prefix) it is meant for.
	Registry           string
	Username, Password string
}

// Size is a terminal's.
type Size struct{ Width, Height uint16 }

// ExecOptions are for Exec. Writers are not closed; they are written from two
// goroutines, so Stdout and Stderr must not be one unprotected buffer.
type ExecOptions struct {
	Command        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size
}

// AttachOptions are for Attach. Writers are not closed.
type AttachOptions struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan Size
}

// Stats is a measurement of one container.
type Stats struct {
	Time time.Time
	// CPUNanos is the time used so far, over all cores; periods are those of a
	// CPU quota, and how many of them it ended.
	CPUNanos                  uint64
	Periods, ThrottledPeriods uint64
	// MemoryUsage counts everything, MemoryWorkingSet leaves out idle page cache.
	MemoryUsage, MemoryWorkingSet, MemoryRSS, MemoryCache uint64
	PageFaults, MajorPageFaults                           uint64
	Pids                                                  uint64
}

// ID derives the id of one attempt of a container (or of the sandbox, whose
// name is SandboxName) from what it is, so that it can exist only once.
func ID(podUID, name string, attempt int) string { return deriveID(podUID, name, attempt) }

// SandboxName stands for the sandbox where container names are used.
const SandboxName = "POD"

// DiskUsage is what a tree of files takes.
type DiskUsage struct{ Bytes, Inodes uint64 }
