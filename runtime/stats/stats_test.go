package stats

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

func TestJoin(t *testing.T) {
	at := time.Unix(100, 0)
	pod := &corev1.Pod{}
	pod.Spec.HostNetwork = true
	state := container.PodState{Containers: []container.Container{
		{ID: "a", Name: "a", State: container.Running}, {ID: "b", Name: "b", State: container.Running}, {ID: "old", Name: "b", State: container.Exited},
	}}
	last := &sample{at: at, containers: map[string]container.Stats{
		"a": {Time: at, CPUNanos: 5e9, MemoryWorkingSet: 1}, "b": {Time: at, CPUNanos: 1e9, MemoryWorkingSet: 2},
		"old": {Time: at, CPUNanos: 9e9, MemoryWorkingSet: 9},
	}}
	before := &sample{at: at.Add(-10 * time.Second), containers: map[string]container.Stats{
		"a": {Time: at.Add(-10 * time.Second), CPUNanos: 3e9}, "b": {Time: at.Add(-10 * time.Second), CPUNanos: 1e9},
	}}
	p := join(pod, state, last, before)
	if len(p.Containers) != 2 || p.Total.CPUNanos != 6e9 || p.Total.MemoryWorkingSet != 3 {
		t.Errorf("%+v", p.Total)
	}
	if p.NanoCores == nil || *p.NanoCores != 2e8 || *p.Containers[1].NanoCores != 0 {
		t.Errorf("rate: %v", p.NanoCores)
	}
	delete(before.containers, "b")
	if p := join(pod, state, last, before); p.NanoCores != nil || p.Containers[0].NanoCores == nil {
		t.Errorf("rate of a pod with a new container: %v", p.NanoCores)
	}
}

func TestParseNetwork(t *testing.T) {
	const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  br0: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0
  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
`
	want := &Network{Default: "eth0", Interfaces: []Interface{
		{Name: "br0", RxBytes: 7, RxPackets: 1, TxBytes: 8, TxPackets: 1},
		{Name: "eth0", RxBytes: 1000, RxPackets: 10, RxErrors: 1, RxDropped: 2, TxBytes: 2000, TxPackets: 20, TxErrors: 3, TxDropped: 4},
	}}
	if diff := cmp.Diff(want, parseNetwork(text)); diff != "" {
		t.Error(diff)
	}
}

func TestCountTree(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	once, err := countTree(dir)
	if err != nil || once.Inodes != 2 || once.Bytes < 10000 {
		t.Fatalf("%+v, %v", once, err)
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if linked, err := countTree(dir); err != nil || linked != once {
		t.Errorf("a hard link counts twice: %+v, %v", linked, err)
	}
}

// TestPages asks every page of a node without pods; the registries are pedantic
// about names and labels.
func TestPages(t *testing.T) {
	c := New(Config{
		Node: "n", Source: nothing{}, Pods: func() []*corev1.Pod { return nil }, DataDir: t.TempDir(),
		VolumeDir: func(*corev1.Pod, string) string { return "" },
	})
	for i := range 2 {
		if err := c.measure(t.Context()); err != nil {
			t.Fatal(i, err)
		}
	}
	w := httptest.NewRecorder()
	c.Resource().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if !strings.Contains(w.Body.String(), "\nnode_memory_working_set_bytes ") || !strings.Contains(w.Body.String(), "\nresource_scrape_error 0\n") {
		t.Error(w.Body)
	}
	w = httptest.NewRecorder()
	c.Cadvisor().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if !strings.Contains(w.Body.String(), `container_cpu_usage_seconds_total{container="",cpu="total",id="/",`) {
		t.Error(w.Body)
	}
	s, err := c.Summary(t.Context(), false)
	if err != nil || s.Node.CPU.UsageNanoCores == nil || *s.Node.Memory.WorkingSetBytes == 0 || *s.Node.Fs.CapacityBytes == 0 || s.Node.Rlimit == nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// nothing runs.
type nothing struct{}

func (nothing) Pod(context.Context, string) (container.PodState, error) {
	return container.PodState{}, nil
}

func (nothing) Stats(context.Context) (map[string]container.Stats, error) { return nil, nil }

func (nothing) DiskUsage(context.Context, string) (container.DiskUsage, error) {
	return container.DiskUsage{}, container.ErrNotFound
}
