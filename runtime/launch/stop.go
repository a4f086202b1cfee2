package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// answerTimeout bounds one question to the daemon.
const answerTimeout = 3 * time.Second

// answer asks the daemon at the socket for its version.
func answer(ctx context.Context, socket string) (string, error) {
	if _, err := os.Stat(socket); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	client, err := containerd.New(socket, containerd.WithTimeout(answerTimeout))
	if err != nil {
		return "", err
	}
	defer client.Close()
	v, err := client.Version(ctx)
	return v.Version, err
}

// Stop ends the private containerd with every container in it and leaves no
// process, mount or cgroup; images and snapshots stay for the next start. A
// system's containerd only loses the containers of our namespace.
func (l *Launcher) Stop(ctx context.Context) error {
	if l.cfg.System != "" {
		return endContainers(ctx, l.cfg.System, []string{l.cfg.Namespace})
	}
	if _, err := os.Stat(l.cfg.DataDir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if id, ok := readPidFile(l.pidFile()); ok && id.alive() {
		if err := endContainers(ctx, l.socket(), nil); err != nil {
			l.cfg.Logger.Warn("containers not ended in order, killing them", "err", err)
		}
		id.end(ctx, l.cfg.Logger)
	}
	l.endShims(ctx)
	if err := unmountBelow(l.cfg.DataDir); err != nil {
		return err
	}
	return errors.Join(
		removeAll(l.stateDir()), removeAll(l.shortDir()),
		removeAll(l.pidFile()), removeAll(l.socket()), removeAll(l.socket()+".ttrpc"))
}

// Purge is Stop, and removes the data folder with images and snapshots.
func (l *Launcher) Purge(ctx context.Context) error {
	if err := l.Stop(ctx); err != nil || l.cfg.System != "" {
		return err
	}
	return os.RemoveAll(l.cfg.DataDir)
}

func removeAll(path string) error { return os.RemoveAll(path) }

// endContainers kills and deletes every container of the namespaces (nil: all)
// through the daemon, the way that cleans up after itself.
func endContainers(ctx context.Context, socket string, spaces []string) error {
	client, err := containerd.New(socket, containerd.WithTimeout(answerTimeout))
	if err != nil {
		return err
	}
	defer client.Close()
	if spaces == nil {
		if spaces, err = client.NamespaceService().List(ctx); err != nil {
			return fmt.Errorf("list containerd namespaces: %w", err)
		}
	}
	var g errgroup.Group
	g.SetLimit(8)
	for _, ns := range spaces {
		nsCtx := namespaces.WithNamespace(ctx, ns)
		list, err := client.Containers(nsCtx)
		if err != nil {
			return fmt.Errorf("list containers of namespace %s: %w", ns, err)
		}
		for _, c := range list {
			g.Go(func() error { return endContainer(nsCtx, c) })
		}
	}
	return g.Wait()
}

func endContainer(ctx context.Context, c containerd.Container) error {
	ctx, cancel := context.WithTimeout(ctx, 2*endTimeout)
	defer cancel()
	task, err := c.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, containerd.WithProcessKill)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("end container %s: %w", c.ID(), err)
	}
	if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", c.ID(), err)
	}
	return nil
}

// endShims ends what a daemon that could not be asked left behind: containers,
// by the state that each one's folder names, and the shims that name our socket.
func (l *Launcher) endShims(ctx context.Context) {
	bundles, err := filepath.Glob(filepath.Join(l.stateDir(), "io.containerd.runtime.v2.task", "*", "*"))
	if err != nil {
		return
	}
	for _, bundle := range bundles {
		l.deleteRunc(ctx, bundle)
	}
	for _, shim := range shimsOf(l.socket()) {
		for _, child := range children(shim.pid) {
			_ = unix.Kill(child.pid, unix.SIGKILL)
			child.awaitEnd(ctx, endTimeout)
		}
		_ = unix.Kill(shim.pid, unix.SIGKILL)
		shim.awaitEnd(ctx, endTimeout)
	}
	for _, bundle := range bundles {
		// The shim's socket is below /run/containerd; its bundle names it.
		data, err := os.ReadFile(filepath.Join(bundle, "address"))
		if path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "unix://"); err == nil && ok {
			_ = os.Remove(path)
		}
		_ = os.Remove(filepath.Join(runcRoot, filepath.Base(filepath.Dir(bundle)))) // when empty
	}
}

// runcRoot is where containerd's shim keeps runc's state, one folder for each
// containerd namespace.
const runcRoot = "/run/containerd/runc"

// deleteRunc has runc kill the container and remove its cgroups and state. A
// process that is no runc container (a Wasm one) ends with its shim.
func (l *Launcher) deleteRunc(ctx context.Context, bundle string) {
	namespace, id := filepath.Base(filepath.Dir(bundle)), filepath.Base(bundle)
	root := filepath.Join(runcRoot, namespace)
	if _, err := os.Stat(filepath.Join(root, id)); err != nil {
		return
	}
	runc, err := lookPath("runc")
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, runc, "--root", root, "delete", "--force", id).CombinedOutput(); err != nil {
		l.cfg.Logger.Warn("container not deleted in order", "name", id, "err", fmt.Errorf("%w: %s", err, out))
	}
}

// unmountBelow unmounts everything mounted below the folder, the deepest first.
func unmountBelow(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	points, err := mountsBelow(real)
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(points) {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("unmount %s: %w", p, err)
		}
	}
	return nil
}

// mountsBelow lists mount points below the folder in the order they were made.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20) // overlays of many layers make long lines
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescapeMount(fields[4]); strings.HasPrefix(point, dir+"/") {
			out = append(out, point)
		}
	}
	return out, scan.Err()
}

// unescapeMount undoes the escapes of proc_pid_mountinfo(5).
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
