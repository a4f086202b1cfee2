package robustness

import (
	"bufio"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// machine is what a cluster's nodes could leave on the machine, each thing named
// by its kind and its own name.
type machine map[string]bool

// leftSince lists what is there now and was not before.
func leftSince(t *testing.T, before machine, data string) []string {
	t.Helper()
	now := observeMachine(t, data)
	maps.DeleteFunc(now, func(what string, _ bool) bool { return before[what] })
	return slices.Sorted(maps.Keys(now))
}

func observeMachine(t *testing.T, data string) machine {
	t.Helper()
	m := machine{}
	m.mounts(t, data)
	m.processes(t, data)
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		m["link "+l.Name] = true
	}
	for _, dir := range []string{"/run/netns", "/var/run/netns"} {
		entries, _ := os.ReadDir(dir) // absent on a machine that never had one
		for _, e := range entries {
			m["namespace "+e.Name()] = true
		}
	}
	m.lines(t, "rules", "nft", "list", "tables")
	m.lines(t, "route", "ip", "route", "show")
	m.cgroups(t)
	return m
}

func (m machine) lines(t *testing.T, kind, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	for line := range strings.Lines(string(out)) {
		m[kind+" "+strings.TrimSpace(line)] = true
	}
}

// mounts are those of the data directory and of our own places; the rest of the
// machine mounts and unmounts as it likes.
func (m machine) mounts(t *testing.T, data string) {
	t.Helper()
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if at := fields[4]; strings.HasPrefix(at, data) || strings.Contains(at, "pintle") {
			m["mount "+at] = true
		}
	}
}

func (m machine) cgroups(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // ended while we looked
		}
		if d.IsDir() && strings.Contains(path, "pintle") {
			m["cgroup "+path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// processes are those whose command line names the data directory or the marker
// of a container that we started. Zombies have no command line.
func (m machine) processes(t *testing.T, data string) {
	t.Helper()
	for pid, line := range commandLines(t) {
		if pid != os.Getpid() && (strings.Contains(line, data) || strings.Contains(line, marker)) {
			m["process "+strconv.Itoa(pid)+" "+line] = true
		}
	}
}

// commandLines are those of all processes of the machine.
func commandLines(t *testing.T) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && len(raw) > 0 {
			lines[pid] = strings.ReplaceAll(string(raw), "\x00", " ")
		}
	}
	return lines
}

// process is one process of a container, told from a later one with its number.
type process struct {
	pid     int
	started string
}

// containerProcesses are the first processes of the containers with this marker,
// without the ones that a shell forks.
func containerProcesses(t *testing.T, name string) []process {
	t.Helper()
	parents := map[int]int{}
	var found []process
	for pid, line := range commandLines(t) {
		if !strings.HasSuffix(strings.TrimSpace(line), marker+name) {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue // ended while we looked
		}
		// After the parenthesis of the name come state and parent; the start is
		// field 22 of all.
		stat := string(raw)
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if parents[pid], err = strconv.Atoi(fields[1]); err != nil {
			t.Fatal(err)
		}
		found = append(found, process{pid, fields[19]})
	}
	found = slices.DeleteFunc(found, func(p process) bool {
		_, forked := parents[parents[p.pid]]
		return forked
	})
	slices.SortFunc(found, func(a, b process) int { return a.pid - b.pid })
	return found
}
