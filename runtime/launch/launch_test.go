package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

func needContainerd(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if err := Check(); err != nil {
		t.Skip(err)
	}
}

func newLauncher(t *testing.T, dir string) *Launcher {
	t.Helper()
	l := New(Config{DataDir: dir, Namespace: "test"})
	t.Cleanup(func() {
		if err := l.Purge(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return l
}

func start(t *testing.T, l *Launcher) *Containerd {
	t.Helper()
	c, err := l.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// runSleeper starts a container that sleeps and answers its init process.
func runSleeper(t *testing.T, c *Containerd, id string) processID {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs busybox-static")
	}
	rootfs := t.TempDir()
	for _, dir := range []string{"bin", "proc", "sys", "dev", "run"} {
		must(t, os.Mkdir(filepath.Join(rootfs, dir), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(rootfs, "bin", "busybox"), busybox, 0o755))
	client, err := containerd.New(c.Socket)
	must(t, err)
	defer client.Close()
	ctx := namespaces.WithNamespace(t.Context(), c.Namespace)
	if old, err := client.LoadContainer(ctx, id); err == nil {
		must(t, old.Delete(ctx))
	}
	container, err := client.NewContainer(ctx, id, containerd.WithNewSpec(
		oci.WithRootFSPath(rootfs), oci.WithProcessArgs("/bin/busybox", "sleep", "1000")))
	must(t, err)
	task, err := container.NewTask(ctx, cio.NullIO)
	must(t, err)
	must(t, task.Start(ctx))
	pid, err := identify(int(task.Pid()))
	must(t, err)
	for _, dir := range cgroups(pid.pid) {
		t.Cleanup(func() { _ = os.Remove(filepath.Dir(dir)) }) // runc makes the parent, and leaves it
	}
	return pid
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantNothingLeft fails if processes, mounts or sockets of the folder remain.
func wantNothingLeft(t *testing.T, l *Launcher, processes ...processID) {
	t.Helper()
	for _, p := range append(processes, shimsOf(l.socket())...) {
		if p.alive() {
			t.Errorf("process %d still runs", p.pid)
		}
	}
	mounts, err := mountsBelow(l.cfg.DataDir)
	if err != nil || len(mounts) > 0 {
		t.Errorf("mounts left: %v, %v", mounts, err)
	}
	for _, path := range []string{l.socket(), l.pidFile(), l.stateDir()} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
}

// A second process finds the daemon and its containers; Stop, by whomever, ends
// both and leaves nothing.
func TestFoundAgainThenStopped(t *testing.T) {
	needContainerd(t)
	dir := filepath.Join(t.TempDir(), "containerd")
	first := newLauncher(t, dir)
	c := start(t, first)
	if c.Found || !c.Private || c.Snapshotter == "" || c.Version == "" {
		t.Errorf("started: %+v", c)
	}
	sleeper := runSleeper(t, c, "sleeper")
	if sid, err := unix.Getsid(c.Pid); err != nil || sid != c.Pid {
		t.Errorf("session of the daemon %d: %d, %v; it must have its own", c.Pid, sid, err)
	}

	second := newLauncher(t, dir)
	again := start(t, second)
	if !again.Found || again.Pid != c.Pid || again.Socket != c.Socket {
		t.Errorf("found again: %+v, want the one of %+v", again, c)
	}
	if !sleeper.alive() {
		t.Error("the container ended meanwhile")
	}
	daemon, err := identify(c.Pid)
	must(t, err)
	must(t, second.Stop(t.Context()))
	wantNothingLeft(t, second, daemon, sleeper)
	must(t, second.Stop(t.Context())) // again: nothing to do
}

// The daemon was killed: containers run on, the next start takes them over.
func TestKilledDaemonIsReplaced(t *testing.T) {
	needContainerd(t)
	l := newLauncher(t, filepath.Join(t.TempDir(), "containerd"))
	c := start(t, l)
	sleeper := runSleeper(t, c, "sleeper")
	daemon, err := identify(c.Pid)
	must(t, err)
	must(t, unix.Kill(c.Pid, unix.SIGKILL))
	daemon.awaitEnd(t.Context(), endTimeout)

	again := start(t, l)
	if again.Found || again.Pid == c.Pid || !sleeper.alive() {
		t.Errorf("after the kill: %+v, container alive: %v", again, sleeper.alive())
	}
	client, err := containerd.New(again.Socket)
	must(t, err)
	defer client.Close()
	ctx := namespaces.WithNamespace(t.Context(), again.Namespace)
	container, err := client.LoadContainer(ctx, "sleeper")
	must(t, err)
	task, err := container.Task(ctx, nil)
	must(t, err)
	if int(task.Pid()) != sleeper.pid {
		t.Errorf("the new daemon knows process %d, want %d", task.Pid(), sleeper.pid)
	}
	must(t, l.Stop(t.Context()))
	wantNothingLeft(t, l, sleeper)
}

// Nobody can be asked: daemon and pid file are gone, shims and containers not.
func TestStopWithoutDaemon(t *testing.T) {
	needContainerd(t)
	l := newLauncher(t, filepath.Join(t.TempDir(), "containerd"))
	c := start(t, l)
	sleeper := runSleeper(t, c, "sleeper")
	groups := cgroups(sleeper.pid)
	daemon, err := identify(c.Pid)
	must(t, err)
	must(t, unix.Kill(c.Pid, unix.SIGKILL))
	daemon.awaitEnd(t.Context(), endTimeout)
	must(t, os.Remove(l.pidFile()))
	must(t, l.Stop(t.Context()))
	wantNothingLeft(t, l, daemon, sleeper)
	for _, dir := range groups {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("cgroup %s is still there", dir)
		}
	}
	// The same container again: nothing of the first may be in its way.
	runSleeper(t, start(t, l), "sleeper")
	must(t, l.Stop(t.Context()))
}

// cgroups are the folders of the process in every cgroup hierarchy.
func cgroups(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil
	}
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		hierarchy := strings.TrimPrefix(parts[1], "name=")
		roots := []string{"/sys/fs/cgroup/" + hierarchy}
		if hierarchy == "" {
			roots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		}
		for _, root := range roots {
			out = append(out, filepath.Join(root, parts[2]))
		}
	}
	return out
}

func TestLongDataFolder(t *testing.T) {
	needContainerd(t)
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 25), "containerd")
	l := newLauncher(t, long)
	c := start(t, l)
	if len(c.Socket) > maxSocketPath {
		t.Errorf("socket path %s is too long", c.Socket)
	}
	must(t, l.Stop(t.Context()))
	if _, err := os.Stat(l.shortDir()); err == nil {
		t.Errorf("%s is still there", l.shortDir())
	}
}

// The nodes of one machine start together: one daemon serves all.
func TestConcurrentStarts(t *testing.T) {
	needContainerd(t)
	dir := filepath.Join(t.TempDir(), "containerd")
	newLauncher(t, dir) // purges it at the end
	var g errgroup.Group
	var pids [3]int
	for i := range pids {
		g.Go(func() error {
			c, err := New(Config{DataDir: dir}).Start(t.Context())
			if err == nil {
				pids[i] = c.Pid
			}
			return err
		})
	}
	must(t, g.Wait())
	if pids[0] == 0 || pids[0] != pids[1] || pids[1] != pids[2] {
		t.Errorf("daemons %v, want one", pids)
	}
}

func TestPatienceEnds(t *testing.T) {
	dir := t.TempDir()
	unlock, err := New(Config{DataDir: dir}).lock(t.Context())
	must(t, err)
	defer unlock()
	l := New(Config{DataDir: dir})
	l.patience = time.Millisecond
	if _, err := l.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	needContainerd(t)
	l := newLauncher(t, filepath.Join(t.TempDir(), "containerd"))
	must(t, os.MkdirAll(l.cfg.DataDir, 0o700))
	must(t, os.MkdirAll(filepath.Join(l.socket(), "in-the-way"), 0o700))
	_, err := l.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
}

func TestSystemContainerdMustAnswer(t *testing.T) {
	l := New(Config{System: filepath.Join(t.TempDir(), "none.sock")})
	if _, err := l.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v", err)
	}
}

// A pid file is believed only for the very process that wrote it.
func TestProcessIdentity(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	must(t, cmd.Start())
	id, err := identify(cmd.Process.Pid)
	must(t, err)
	file := filepath.Join(t.TempDir(), "pid")
	must(t, writePidFile(file, id))
	if got, ok := readPidFile(file); !ok || got != id || !got.alive() {
		t.Errorf("read back %+v, %v; want %+v", got, ok, id)
	}
	for name, change := range map[string]func(*processID){
		"number used again": func(p *processID) { p.start += "1" },
		"other boot":        func(p *processID) { p.boot = "other" },
		"no start time":     func(p *processID) { p.start = "" },
		"init":              func(p *processID) { p.pid = 1 },
	} {
		other := id
		if change(&other); other.alive() {
			t.Errorf("%s: %+v counts as alive", name, other)
		}
	}
	must(t, cmd.Process.Kill())
	id.awaitEnd(t.Context(), endTimeout)
	if id.alive() { // a zombie until Wait
		t.Error("a dead process counts as alive")
	}
	_ = cmd.Wait()
}

func TestDaemonEnv(t *testing.T) {
	got := strings.Join(daemonEnv([]string{"PATH=/home/x/bin", "NOTIFY_SOCKET=/run/s", "LANG=C"}), " ")
	want := "LANG=C PATH=/home/x/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnescapeMount(t *testing.T) {
	if got := unescapeMount(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("got %q", got)
	}
}
