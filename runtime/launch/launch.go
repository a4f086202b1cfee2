package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// startTimeout bounds how long a new containerd may take to answer.
const startTimeout = 20 * time.Second

// SystemSocket is where distributions' containerd listens.
const SystemSocket = "/run/containerd/containerd.sock"

// Config says which containerd to use.
type Config struct {
	// DataDir is a folder of the private containerd alone.
	DataDir string
	// System uses a containerd that is already there instead, at this socket.
	System string
	// Namespace is the containerd namespace of the cluster; default "pintle" in a
	// private containerd as well as in a system's one.
	Namespace string
	Logger    *slog.Logger
}

// Containerd is a running containerd.
type Containerd struct {
	// Socket is the path of its gRPC socket.
	Socket string
	// Namespace is the containerd namespace to use.
	Namespace string
	// Snapshotter is overlayfs where the data folder's file system allows it,
	// else native; empty for a system's containerd (its default).
	Snapshotter string
	// Version is what the daemon says of itself.
	Version string
	// Private tells ours from the system's.
	Private bool
	// Pid of the private daemon.
	Pid int
	// Found is true when it was running already.
	Found bool
}

// Launcher starts and stops the containerd of one data folder.
type Launcher struct {
	cfg      Config
	patience time.Duration // with another process that starts or stops it
}

// New changes nothing yet.
func New(cfg Config) *Launcher {
	if cfg.Namespace == "" {
		cfg.Namespace = "pintle"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Launcher{cfg: cfg, patience: startTimeout + 2*endTimeout}
}

func (l *Launcher) path(elem ...string) string {
	return filepath.Join(append([]string{l.cfg.DataDir}, elem...)...)
}

func (l *Launcher) pidFile() string  { return l.path("containerd.pid") }
func (l *Launcher) stateDir() string { return l.path("state") }
func (l *Launcher) rootDir() string  { return l.path("root") }

// maxSocketPath is what fits into a socket address, with room for the suffix
// of containerd's second socket.
const maxSocketPath = 107 - len(".ttrpc")

// socket is inside the data folder, or, when that path is too long for a
// socket, below /run under a name that follows from it.
func (l *Launcher) socket() string {
	if p := l.path("containerd.sock"); len(p) <= maxSocketPath {
		return p
	}
	return filepath.Join(l.shortDir(), "containerd.sock")
}

func (l *Launcher) shortDir() string {
	sum := sha256.Sum256([]byte(l.cfg.DataDir))
	return "/run/pintle-" + hex.EncodeToString(sum[:6])
}

// MissingError names the programs that are not installed and the packages that
// hold them.
type MissingError struct{ Programs, Packages []string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("not installed: %s; on Debian or Ubuntu: apt-get install -y %s", join(e.Programs), join(e.Packages))
}

// Check answers a *MissingError if programs that a private containerd needs are
// not installed.
func Check() error {
	missing := &MissingError{}
	for _, p := range [][2]string{{"containerd", "containerd"}, {"containerd-shim-runc-v2", "containerd"}, {"runc", "runc"}} {
		if _, err := lookPath(p[0]); err != nil {
			missing.Programs = append(missing.Programs, p[0])
			missing.Packages = appendNew(missing.Packages, p[1])
		}
	}
	if len(missing.Programs) > 0 {
		return missing
	}
	return nil
}

// lookPath also looks where root's programs are, which sudo may leave out.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}

// Start answers the containerd to use: the system's if configured, else the
// private one, which it finds or starts.
func (l *Launcher) Start(ctx context.Context) (*Containerd, error) {
	if l.cfg.System != "" {
		return l.useSystem(ctx)
	}
	if err := os.MkdirAll(l.cfg.DataDir, 0o711); err != nil {
		return nil, fmt.Errorf("containerd data folder: %w", err)
	}
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if c, ok := l.find(ctx); ok {
		return c, nil
	}
	return l.launch(ctx)
}

func (l *Launcher) useSystem(ctx context.Context) (*Containerd, error) {
	version, err := answer(ctx, l.cfg.System)
	if err != nil {
		return nil, fmt.Errorf("the containerd at %s does not answer: %w", l.cfg.System, err)
	}
	return &Containerd{Socket: l.cfg.System, Namespace: l.cfg.Namespace, Version: version, Found: true}, nil
}

// lock keeps starts and stops of one folder apart, waiting its turn: the nodes of
// a machine ask for their containerd at the same time. The kernel releases it
// with the process.
func (l *Launcher) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(l.path("lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("%s is in use by another process that starts or stops its containerd: %w", l.cfg.DataDir, err)
		case <-tick.C:
		}
	}
}

// find answers the private containerd of an earlier run. One that does not
// answer is ended, so that a new one can take its place; its shims and
// containers are not affected by that.
func (l *Launcher) find(ctx context.Context) (*Containerd, bool) {
	id, ok := readPidFile(l.pidFile())
	if !ok || !id.alive() {
		return nil, false
	}
	version, err := answer(ctx, l.socket())
	if err != nil {
		l.cfg.Logger.Warn("the private containerd does not answer, starting a new one", "pid", id.pid, "err", err)
		id.end(ctx, l.cfg.Logger)
		return nil, false
	}
	c := l.describe(version, id.pid)
	c.Found = true
	return c, true
}

func (l *Launcher) describe(version string, pid int) *Containerd {
	return &Containerd{
		Socket: l.socket(), Namespace: l.cfg.Namespace, Snapshotter: snapshotter(l.rootDir()),
		Version: version, Private: true, Pid: pid,
	}
}

// launch starts a new daemon and waits until it answers.
func (l *Launcher) launch(ctx context.Context) (*Containerd, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	if err := l.writeConfig(); err != nil {
		return nil, err
	}
	binary, err := lookPath("containerd")
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(l.path("containerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// Not CommandContext: the daemon outlives ctx and this process.
	cmd := exec.Command(binary, "--config", l.path("config.toml"))
	cmd.Dir = "/"
	cmd.Env = daemonEnv(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // reaps it should it end while we live
	id, err := identify(cmd.Process.Pid)
	if err == nil {
		err = writePidFile(l.pidFile(), id)
	}
	var version string
	if err == nil {
		version, err = l.awaitAnswer(ctx, exited)
	}
	if err != nil {
		id.end(context.WithoutCancel(ctx), l.cfg.Logger)
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	l.cfg.Logger.Info("containerd started", "pid", id.pid, "version", version)
	return l.describe(version, id.pid), nil
}

// awaitAnswer polls the socket; there is no other sign of readiness.
func (l *Launcher) awaitAnswer(ctx context.Context, exited <-chan error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		version, err := answer(ctx, l.socket())
		if err == nil {
			return version, nil
		}
		select {
		case gone := <-exited:
			return "", fmt.Errorf("it ended (%v); its log ends with:\n%s", gone, tail(l.path("containerd.log"), 2000))
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("no answer at %s; its log ends with:\n%s", l.socket(), tail(l.path("containerd.log"), 2000)), err)
		case <-tick.C:
		}
	}
}
