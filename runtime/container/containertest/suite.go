// Package containertest is the contract of container.Runtime as tests. Every
// implementation runs the suite.
package containertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-io/pintle/runtime/container"
)

// Harness is a runtime under test.
type Harness struct {
	Runtime container.Runtime
	// Image is present and has /bin/sh.
	Image string
	// Restart gives a new Runtime over the same state, as after a kill of the
	// process that held the old one; nil if the implementation keeps nothing.
	Restart func(t *testing.T) container.Runtime
}

// Run runs the suite; make is called for each part.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	for name, part := range map[string]func(*testing.T, *fixture){
		"life of a container":     testLife,
		"exit codes and logs":     testExit,
		"stop escalates to kill":  testStop,
		"same attempt only once":  testOnce,
		"exec":                    testExec,
		"remove running":          testRemove,
		"missing things":          testMissing,
		"events":                  testEvents,
		"restart of the agent":    testRestart,
		"sandbox keeps addresses": testSandbox,
	} {
		t.Run(name, func(t *testing.T) {
			h := make(t)
			f := &fixture{Harness: h, t: t, dir: t.TempDir(), pod: container.PodRef{UID: "uid-" + strings.ReplaceAll(name, " ", "-"), Namespace: "ns", Name: "pod"}}
			t.Cleanup(func() { f.cleanup(); dropCgroups() })
			part(t, f)
		})
	}
}

type fixture struct {
	Harness
	t   *testing.T
	dir string
	pod container.PodRef
}

func (f *fixture) cleanup() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := f.Runtime.Pod(ctx, f.pod.UID)
	if err != nil {
		f.t.Error(err)
	}
	for _, c := range st.Containers {
		if err := f.Runtime.RemoveContainer(ctx, c.ID); err != nil {
			f.t.Error(err)
		}
	}
	for _, s := range st.Sandboxes {
		if err := f.Runtime.RemoveSandbox(ctx, s.ID); err != nil {
			f.t.Error(err)
		}
	}
}

// dropCgroups removes the empty parents that runc leaves.
func dropCgroups() {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/pintle-test")
	for _, dir := range append(v1, "/sys/fs/cgroup/pintle-test") {
		_ = os.Remove(dir) // not there with the fake
	}
}

func (f *fixture) sandbox() string {
	f.t.Helper()
	id, err := f.Runtime.RunSandbox(f.t.Context(), container.SandboxConfig{
		Pod: f.pod, Hostname: "pod", IPs: []string{"10.0.0.1"}, HostNetwork: true, CgroupParent: "/pintle-test",
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) config(sandbox, name, script string) container.Config {
	return container.Config{
		Pod: f.pod, SandboxID: sandbox, Name: name, Image: f.Image,
		Command: []string{"/bin/sh", "-c", script}, CgroupParent: "/pintle-test",
		LogPath: filepath.Join(f.dir, name, "0.log"), Hash: "h1",
		Annotations: map[string]string{"grace": "3"},
		Env:         []container.EnvVar{{Name: "GREETING", Value: "hello"}},
	}
}

func (f *fixture) start(cfg container.Config) string {
	f.t.Helper()
	id, err := f.Runtime.CreateContainer(f.t.Context(), cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.Runtime.StartContainer(f.t.Context(), id); err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) find(id string) container.Container {
	f.t.Helper()
	st, err := f.Runtime.Pod(f.t.Context(), f.pod.UID)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, c := range st.Containers {
		if c.ID == id {
			return c
		}
	}
	return container.Container{}
}

// await observes until the container is in the state.
func (f *fixture) await(id string, want container.State) container.Container {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		c := f.find(id)
		if c.State == want {
			return c
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("container is %q, want %q", c.State, want)
		}
	}
}

const forever = "sleep 100000"

func testLife(t *testing.T, f *fixture) {
	id, err := f.Runtime.CreateContainer(t.Context(), f.config(f.sandbox(), "c", forever))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.find(id); got.State != container.Created {
		t.Errorf("after create: %q", got.State)
	}
	if err := f.Runtime.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	got := f.find(id)
	if got.State != container.Running || got.Pid == 0 || got.StartedAt.IsZero() || got.ImageID == "" {
		t.Errorf("after start: %+v", got)
	}
	if got.Name != "c" || got.Hash != "h1" || got.Annotations["grace"] != "3" || got.Pod != f.pod {
		t.Errorf("what was recorded is not given back: %+v", got)
	}
	if s, err := f.Runtime.Stats(t.Context()); err != nil || s[id].Pids == 0 {
		t.Errorf("stats: %+v, %v", s, err)
	}
	if err := f.Runtime.UpdateContainer(t.Context(), id, container.Resources{CPUShares: 100, MemoryLimit: 64 << 20}, map[string]string{"more": "1"}); err != nil {
		t.Errorf("update: %v", err)
	}
	if got := f.find(id); got.Annotations["more"] != "1" || got.Annotations["grace"] != "3" {
		t.Errorf("annotations after update: %v", got.Annotations)
	}
	if d, err := f.Runtime.DiskUsage(t.Context(), id); err != nil || d.Inodes == 0 {
		t.Errorf("disk usage: %+v, %v", d, err)
	}
	if err := f.Runtime.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := f.find(id); got.ID != "" {
		t.Errorf("still there after remove: %+v", got)
	}
	if _, err := f.Runtime.DiskUsage(t.Context(), id); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("disk usage after remove: %v", err)
	}
}

func testExit(t *testing.T, f *fixture) {
	id := f.start(f.config(f.sandbox(), "c", "echo done; exit 3"))
	c := f.await(id, container.Exited)
	if c.ExitCode != 3 || c.FinishedAt.IsZero() || c.OOMKilled || c.Lost {
		t.Errorf("%+v", c)
	}
	b, err := os.ReadFile(c.LogPath)
	if err != nil || !strings.HasSuffix(string(b), " stdout F done\n") {
		t.Errorf("log: %q, %v", b, err)
	}
}

func testStop(t *testing.T, f *fixture) {
	sb := f.sandbox()
	soft := f.start(f.config(sb, "soft", "trap 'exit 7' TERM; while true; do sleep 0.05; done"))
	if strings.Contains(f.versionOrFail(), "fake") {
		soft = f.start(f.config(sb, "soft2", forever))
	}
	hard := f.start(f.config(sb, "hard", `trap "" TERM; while true; do sleep 0.05; done`))
	begin := time.Now()
	if err := f.Runtime.StopContainer(t.Context(), soft, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a container that obeys the signal took %s to stop", took)
	}
	if c := f.await(soft, container.Exited); c.ExitCode == 137 {
		t.Error("a container that obeys the signal was killed")
	}
	if err := f.Runtime.StopContainer(t.Context(), hard, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c := f.await(hard, container.Exited); c.ExitCode != 137 {
		t.Errorf("exit code %d after the kill", c.ExitCode)
	}
	if err := f.Runtime.StopContainer(t.Context(), hard, time.Second); err != nil {
		t.Errorf("stopping what has stopped: %v", err)
	}
}

func (f *fixture) versionOrFail() string {
	v, err := f.Runtime.Version(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

func testOnce(t *testing.T, f *fixture) {
	cfg := f.config(f.sandbox(), "c", forever)
	id := f.start(cfg)
	if _, err := f.Runtime.CreateContainer(t.Context(), cfg); !errors.Is(err, container.ErrAlreadyExists) {
		t.Errorf("second create: %v", err)
	}
	if err := f.Runtime.StartContainer(t.Context(), id); !errors.Is(err, container.ErrAlreadyExists) {
		t.Errorf("second start: %v", err)
	}
	cfg.Attempt = 1
	if second := f.start(cfg); second == id {
		t.Error("another attempt has the same id")
	}
	if got := f.find(id); got.State != container.Running {
		t.Errorf("the first attempt is %q", got.State)
	}
}

func testExec(t *testing.T, f *fixture) {
	id := f.start(f.config(f.sandbox(), "c", forever))
	var out bytes.Buffer
	code, err := f.Runtime.Exec(t.Context(), id, container.ExecOptions{
		Command: []string{"/bin/sh", "-c", "echo hi; exit 4"}, Stdout: &out, Stderr: io.Discard,
	})
	if err != nil || code != 4 || out.String() != "hi\n" {
		t.Errorf("code %d, output %q, %v", code, out.String(), err)
	}
	out.Reset()
	code, err = f.Runtime.Exec(t.Context(), id, container.ExecOptions{
		Command: []string{"/bin/sh", "-c", "cat"}, Stdin: strings.NewReader("through\n"), Stdout: &out, Stderr: io.Discard,
	})
	if err != nil || code != 0 || out.String() != "through\n" {
		t.Errorf("stdin: code %d, output %q, %v", code, out.String(), err)
	}
}

func testRemove(t *testing.T, f *fixture) {
	sb := f.sandbox()
	id := f.start(f.config(sb, "c", forever))
	if err := f.Runtime.StopSandbox(t.Context(), sb); err != nil {
		t.Fatal(err)
	}
	if err := f.Runtime.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := f.Runtime.RemoveSandbox(t.Context(), sb); err != nil {
		t.Fatal(err)
	}
	st, err := f.Runtime.Pod(t.Context(), f.pod.UID)
	if err != nil || len(st.Containers)+len(st.Sandboxes) != 0 {
		t.Errorf("left: %+v, %v", st, err)
	}
}

func testMissing(t *testing.T, f *fixture) {
	none := container.ID("none", "none", 0)
	cfg := f.config(f.sandbox(), "c", forever)
	cfg.Image = "docker.io/library/none:1"
	_, createErr := f.Runtime.CreateContainer(t.Context(), cfg)
	_, imageErr := f.Runtime.Image(t.Context(), cfg.Image)
	for what, err := range map[string]error{"create": createErr, "image": imageErr, "start": f.Runtime.StartContainer(t.Context(), none)} {
		if !errors.Is(err, container.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"stop": f.Runtime.StopContainer(t.Context(), none, time.Second), "remove": f.Runtime.RemoveContainer(t.Context(), none),
		"stop sandbox": f.Runtime.StopSandbox(t.Context(), none), "remove sandbox": f.Runtime.RemoveSandbox(t.Context(), none),
	} {
		if err != nil {
			t.Errorf("%s of a missing one: %v", what, err)
		}
	}
}

func testEvents(t *testing.T, f *fixture) {
	events := f.Runtime.Events(t.Context())
	id := f.start(f.config(f.sandbox(), "c", forever))
	if err := f.Runtime.StopContainer(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(10 * time.Second); ; {
		select {
		case e := <-events:
			if e.PodUID == f.pod.UID {
				return
			}
		case <-deadline:
			t.Fatal("no event of the exit")
		}
	}
}

func testRestart(t *testing.T, f *fixture) {
	if f.Restart == nil {
		t.Skip("keeps nothing over a restart")
	}
	sb := f.sandbox()
	running := f.start(f.config(sb, "running", "i=0; while true; do i=$((i+1)); echo $i; sleep 0.01; done"))
	ends := f.start(f.config(sb, "ends", "sleep 0.5; exit 5"))
	before := f.find(running)
	f.Runtime = f.Restart(t)
	c := f.await(ends, container.Exited)
	if c.ExitCode != 5 || c.Lost {
		t.Errorf("the end that happened without us: %+v", c)
	}
	after := f.find(running)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the running container changed (-before +after)\n%s", diff)
	}
	// Output goes on and has no gap.
	f.awaitLines(after.LogPath, 100)
}

// awaitLines waits for n lines that count from 1.
func (f *fixture) awaitLines(path string, n int) {
	f.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		b, err := os.ReadFile(path)
		if err != nil {
			f.t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		for i, l := range lines[:len(lines)-1] {
			if want := " F " + strconv.Itoa(i+1); !strings.HasSuffix(l, want) {
				f.t.Fatalf("line %d is %q", i+1, l)
			}
		}
		if len(lines) > n {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("only %d lines", len(lines))
		}
	}
}

func testSandbox(t *testing.T, f *fixture) {
	id := f.sandbox()
	st, err := f.Runtime.Pod(t.Context(), f.pod.UID)
	if err != nil || len(st.Sandboxes) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	got := st.Sandboxes[0]
	if got.ID != id || got.State != container.Running || !cmp.Equal(got.IPs, []string{"10.0.0.1"}) || got.Pod != f.pod {
		t.Errorf("%+v", got)
	}
	if _, err := f.Runtime.RunSandbox(t.Context(), container.SandboxConfig{Pod: f.pod, HostNetwork: true, CgroupParent: "/pintle-test"}); !errors.Is(err, container.ErrAlreadyExists) {
		t.Errorf("second run: %v", err)
	}
	pods, err := f.Runtime.Pods(t.Context())
	if err != nil || !cmp.Equal(pods, []container.PodRef{f.pod}) {
		t.Errorf("pods: %+v, %v", pods, err)
	}
	if err := f.Runtime.StopSandbox(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if st, err = f.Runtime.Pod(t.Context(), f.pod.UID); err != nil || st.Sandboxes[0].State != container.Exited {
		t.Errorf("after stop: %+v, %v", st, err)
	}
}
