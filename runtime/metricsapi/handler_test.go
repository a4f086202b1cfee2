package metricsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	metricsv1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// agents answers for node agents, by address; the others are down.
type agents map[string]*statsv1.Summary

func (a agents) RoundTrip(r *http.Request) (*http.Response, error) {
	s := a[r.URL.Host]
	if s == nil {
		return nil, errors.New("down")
	}
	b, err := json.Marshal(s)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
}

func used[T any](v T) *T { return &v }

func measured(nano *uint64, bytes uint64) (*statsv1.CPUStats, *statsv1.MemoryStats) {
	return &statsv1.CPUStats{UsageNanoCores: nano}, &statsv1.MemoryStats{WorkingSetBytes: &bytes}
}

func TestHandler(t *testing.T) {
	nodes, pods := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil), cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	asked := agents{}
	for _, name := range []string{"a", "b"} {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}}
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: name}}
		n.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
		if err := nodes.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	// Node b is down.
	s := &statsv1.Summary{}
	s.Node.CPU, s.Node.Memory = measured(used(uint64(250_000_000)), 1<<20)
	asked["a:10250"] = s
	for _, p := range []struct {
		namespace, name, node string
		phase                 corev1.PodPhase
		nano                  *uint64
	}{
		{"x", "runs", "a", corev1.PodRunning, used(uint64(1_000_000))},
		{"y", "new", "a", corev1.PodRunning, nil},
		{"y", "other", "a", corev1.PodRunning, used(uint64(2_000_000))},
		{"y", "ended", "a", corev1.PodSucceeded, used(uint64(1))},
		{"y", "away", "b", corev1.PodRunning, nil},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: p.namespace, UID: types.UID(p.name)}}
		pod.Spec.NodeName, pod.Status.Phase = p.node, p.phase
		if err := pods.Add(pod); err != nil {
			t.Fatal(err)
		}
		c := statsv1.ContainerStats{Name: "main"}
		c.CPU, c.Memory = measured(p.nano, 4096)
		s.Pods = append(s.Pods, statsv1.PodStats{PodRef: statsv1.PodReference{UID: p.name}, Containers: []statsv1.ContainerStats{c}})
	}
	h := New(Config{Nodes: corelisters.NewNodeLister(nodes), Pods: corelisters.NewPodLister(pods), Transport: asked})
	get := func(path string, into any) int {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, Path+path, nil))
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %v: %s", path, err, w.Body)
		}
		return w.Code
	}
	var nodeList metricsv1.NodeMetricsList
	get("/nodes", &nodeList)
	if len(nodeList.Items) != 1 || nodeList.Items[0].Usage.Cpu().String() != "250m" || nodeList.Items[0].Usage.Memory().String() != "1Mi" {
		t.Errorf("nodes: %+v", nodeList.Items)
	}
	get("/nodes?labelSelector=name%3Db", &nodeList)
	if len(nodeList.Items) != 0 {
		t.Errorf("nodes by label: %+v", nodeList.Items)
	}
	for path, want := range map[string][]string{
		"/pods": {"runs", "other"}, "/namespaces/y/pods": {"other"}, "/pods?fieldSelector=metadata.name%3Druns": {"runs"},
	} {
		var list metricsv1.PodMetricsList
		get(path, &list)
		var names []string
		for _, m := range list.Items {
			names = append(names, m.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	var pod metricsv1.PodMetrics
	if code := get("/namespaces/x/pods/runs", &pod); code != http.StatusOK || pod.Containers[0].Usage.Cpu().String() != "1m" {
		t.Errorf("pod: %d %+v", code, pod)
	}
	var status metav1.Status
	for path, want := range map[string]int{
		"/nodes/none": 404, "/nodes/b": 503, "/namespaces/y/pods/new": 404, "/pods?labelSelector=%21%21": 400,
	} {
		if code := get(path, &status); code != want || int(status.Code) != want {
			t.Errorf("%s: %d %s", path, code, status.Message)
		}
	}
}
