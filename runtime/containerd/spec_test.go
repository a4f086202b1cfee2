package containerd

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pintle-io/pintle/runtime/container"
)

func generate(t *testing.T, opts ...oci.SpecOpts) *specs.Spec {
	t.Helper()
	ctx := namespaces.WithNamespace(t.Context(), "test")
	s, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: "id"}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProcessArgs(t *testing.T) {
	img := ocispec.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}}
	for name, tc := range map[string]struct {
		command, args []string
		want          string
	}{
		"image":            {nil, nil, "entry cmd"},
		"args":             {nil, []string{"a"}, "entry a"},
		"command":          {[]string{"c"}, nil, "c"},
		"command and args": {[]string{"c"}, []string{"a"}, "c a"},
	} {
		got, err := processArgs(container.Config{Command: tc.command, Args: tc.args}, img)
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := processArgs(container.Config{}, ocispec.ImageConfig{}); err == nil {
		t.Error("no command at all is accepted")
	}
}

func TestSecurity(t *testing.T) {
	has := func(s *specs.Spec, c string) bool { return slices.Contains(s.Process.Capabilities.Bounding, c) }
	plain := generate(t, base("/p", "id", "sb"))
	if plain.Process.NoNewPrivileges || plain.Linux.CgroupsPath != "/p/id" || plain.Annotations[shimGroup] != "sb" || len(plain.Linux.MaskedPaths) == 0 {
		t.Errorf("base: %+v", plain)
	}
	locked := generate(t, append([]oci.SpecOpts{base("/p", "id", "sb")}, securityOpts(container.Security{
		DropCaps: []string{"ALL"}, AddCaps: []string{"NET_BIND_SERVICE"}, NoNewPrivileges: true, ReadOnlyRoot: true, Seccomp: "runtime/default",
	})...)...)
	if has(locked, "CAP_CHOWN") || !has(locked, "CAP_NET_BIND_SERVICE") || !locked.Process.NoNewPrivileges || !locked.Root.Readonly || locked.Linux.Seccomp == nil {
		t.Errorf("locked down: %+v", locked.Process)
	}
	dropped := generate(t, securityOpts(container.Security{DropCaps: []string{"chown"}})...)
	if has(dropped, "CAP_CHOWN") || !has(dropped, "CAP_KILL") {
		t.Errorf("one dropped: %v", dropped.Process.Capabilities.Bounding)
	}
	free := generate(t, securityOpts(container.Security{Privileged: true})...)
	if !has(free, "CAP_SYS_ADMIN") || len(free.Linux.MaskedPaths) != 0 || free.Linux.Seccomp != nil {
		t.Errorf("privileged: %+v", free.Linux)
	}
}

func TestMountsAndNamespaces(t *testing.T) {
	s := generate(t, joinNamespaces(sandboxInfo{Pid: 42, NetNSPath: "/run/ns/x", HostPID: true}), mounts([]container.Mount{
		{Source: "/b", Target: "/data/deep/", ReadOnly: true}, {Source: "/a", Target: "/data", Propagation: "rslave"}, {Source: "/s", Target: "/dev/shm"},
	}))
	paths := map[specs.LinuxNamespaceType]string{}
	for _, n := range s.Linux.Namespaces {
		paths[n.Type] = n.Path
	}
	delete(paths, specs.CgroupNamespace)
	want := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "/run/ns/x", specs.IPCNamespace: "/proc/42/ns/ipc", specs.UTSNamespace: "/proc/42/ns/uts", specs.MountNamespace: ""}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("namespaces (-want +got)\n%s", diff)
	}
	var order []string
	for _, m := range s.Mounts {
		if m.Type == "bind" {
			order = append(order, m.Destination+" "+strings.Join(m.Options, ","))
		}
	}
	if diff := cmp.Diff([]string{"/data rbind,rslave,rw", "/data/deep rbind,rprivate,ro", "/dev/shm rbind,rprivate,rw"}, sorted(order)); diff != "" {
		t.Errorf("mounts (-want +got)\n%s", diff)
	}
	if i, j := slices.Index(order, "/data rbind,rslave,rw"), slices.Index(order, "/data/deep rbind,rprivate,ro"); i > j {
		t.Error("a child is mounted before its parent")
	}
}

func sorted(in []string) []string { slices.Sort(in); return in }

func TestOOMScoreIsClamped(t *testing.T) {
	for _, tc := range []struct{ want, min, got int }{{-997, -1000, -997}, {-997, 0, 0}, {1000, 0, 1000}} {
		s := generate(t, resources(container.Resources{OOMScoreAdj: tc.want}, tc.min))
		if *s.Process.OOMScoreAdj != tc.got {
			t.Errorf("asked %d where %d is the least: %d", tc.want, tc.min, *s.Process.OOMScoreAdj)
		}
	}
	const status = "Name:\tx\nCapEff:\t000001fffeffffff\n"
	if hasCapability(status, capSysResource) || !hasCapability(status, 21) {
		t.Error("capabilities are misread")
	}
}

func TestOOMCount(t *testing.T) {
	for text, want := range map[string]int{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n":                2, // v1: memory.oom_control
		"low 0\nhigh 0\nmax 11\noom 1\noom_kill 1\noom_group_kill 0\n": 1, // v2: memory.events
		"": 0,
	} {
		if got := oomCount(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestStatsOf(t *testing.T) {
	now := time.Now()
	want := container.Stats{Time: now, CPUNanos: 5000, MemoryUsage: 100, MemoryWorkingSet: 70, MemoryRSS: 40, Pids: 3}
	for name, m := range map[string]any{
		"v1": &v1.Metrics{CPU: &v1.CPUStat{Usage: &v1.CPUUsage{Total: 5000}}, Pids: &v1.PidsStat{Current: 3}, Memory: &v1.MemoryStat{Usage: &v1.MemoryEntry{Usage: 100}, TotalInactiveFile: 30, TotalRSS: 40}},
		"v2": &v2.Metrics{CPU: &v2.CPUStat{UsageUsec: 5}, Pids: &v2.PidsStat{Current: 3}, Memory: &v2.MemoryStat{Usage: 100, InactiveFile: 30, Anon: 40}},
	} {
		if got, err := statsOf(now, m); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestPauseELF(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		b, err := pauseELF(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil || f.Machine != machine || f.Type != elf.ET_EXEC || len(f.Progs) != 1 || f.Entry <= f.Progs[0].Vaddr {
			t.Errorf("%s: %+v, %v", arch, f, err)
		}
	}
}

// A terminal has a size, input and output, in exec and in attach.
func TestTerminal(t *testing.T) {
	r, _ := newRuntime(t)
	ctx := t.Context()
	pod := container.PodRef{UID: "tty", Namespace: "ns", Name: "p"}
	sb, err := r.RunSandbox(ctx, container.SandboxConfig{Pod: pod, Hostname: "p", CgroupParent: "/pintle-test/tty"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := container.Config{
		Pod: pod, SandboxID: sb, Name: "c", Image: testImage, TTY: true, Stdin: true, CgroupParent: "/pintle-test/tty",
		Command: []string{"/bin/sh", "-c", "read x; echo got:$x; sleep 0.1"}, LogPath: t.TempDir() + "/c/0.log",
	}
	id, err := r.CreateContainer(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.RemoveContainer(context.Background(), id); err != nil {
			t.Error(err)
		}
		if err := r.RemoveSandbox(context.Background(), sb); err != nil {
			t.Error(err)
		}
		for _, dir := range []string{"pintle-test/tty", "pintle-test"} {
			v1, _ := filepath.Glob("/sys/fs/cgroup/*/" + dir)
			for _, d := range append(v1, "/sys/fs/cgroup/"+dir) {
				_ = os.Remove(d) // one of the two versions has none
			}
		}
	})
	if err := r.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	resize := make(chan container.Size, 1)
	resize <- container.Size{Width: 101, Height: 37}
	var out bytes.Buffer
	code, err := r.Exec(ctx, id, container.ExecOptions{
		Command: []string{"/bin/sh", "-c", "until [ \"$(stty size)\" = '37 101' ]; do sleep 0.02; done; echo sized $TERM"}, TTY: true, Stdout: &out, Resize: resize,
	})
	if err != nil || code != 0 || !strings.Contains(out.String(), "sized xterm") {
		t.Errorf("exec: %d, %q, %v", code, out.String(), err)
	}
	pr, pw := io.Pipe()
	var seen bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- r.Attach(ctx, id, container.AttachOptions{Stdin: pr, Stdout: &seen}) }()
	if _, err := io.WriteString(pw, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !strings.Contains(seen.String(), "got:hello") {
		t.Errorf("attach: %q, %v", seen.String(), err)
	}
}

func TestUserLabelRoundTrip(t *testing.T) {
	b, err := json.Marshal(user{UID: 1, GID: 2, Groups: []int64{3}})
	if err != nil {
		t.Fatal(err)
	}
	c := containerOf(containers.Container{Labels: map[string]string{labelUser: string(b), labelAnnotations: `{"a":"b"}`}}, nil)
	if c.UID != 1 || c.GID != 2 || !cmp.Equal(c.Groups, []int64{3}) || c.Annotations["a"] != "b" || c.State != container.Created {
		t.Errorf("%+v", c)
	}
}
