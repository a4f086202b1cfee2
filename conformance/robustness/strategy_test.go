package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// A scheduling module that never answers, and one that answers nonsense, delay no
// pod by more than about a second; events and `pintle why` name them.
func TestHostileStrategies(t *testing.T) {
	for _, guest := range []string{"loop", "nonsense"} {
		t.Run(guest, func(t *testing.T) {
			module := buildGuest(t, guest)
			c, kube := server(t, "--scheduler-module", module)
			makeNodes(t, kube, 5)
			eventually(t, 30*time.Second, "the module to be in use", func(context.Context) (bool, string) {
				log, err := os.ReadFile(c.LogFile())
				return strings.Contains(string(log), "strategy in use"), fmt.Sprint(err)
			})
			names := []string{"first", "second", "third"}
			for _, name := range names {
				took := scheduled(t, kube, name)
				t.Logf("%s: bound after %s", name, took.Round(time.Millisecond))
				if took > 1500*time.Millisecond {
					t.Errorf("%s was bound %s after its creation, want about a second at most", name, took)
				}
			}
			out, err := c.Pintle(t.Context(), "why", "pod/first")
			if err != nil || !strings.Contains(out, filepath.Base(module)) {
				t.Errorf("`pintle why` does not name %s: %v\n%s", filepath.Base(module), err, out)
			}
			t.Log(out)
			eventually(t, 10*time.Second, "an event that names the module", func(ctx context.Context) (bool, string) {
				events, err := kube.CoreV1().Events("").List(ctx, metav1.ListOptions{})
				var said []string
				for _, e := range events.Items {
					if strings.Contains(e.Message, filepath.Base(module)) {
						return true, e.Message
					}
					said = append(said, e.Reason+": "+e.Message)
				}
				return false, fmt.Sprint(err, strings.Join(said, "\n"))
			})
		})
	}
}

// buildGuest compiles one of the hostile strategies kept with the host's tests.
func buildGuest(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./wasm/host/testdata/"+name)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest %s: %v\n%s", name, err, out)
	}
	return file
}

// makeNodes registers nodes that nobody runs; pods can be bound to them.
func makeNodes(t *testing.T, kube kubernetes.Interface, n int) {
	t.Helper()
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	patch, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{
		Capacity: room, Allocatable: room, Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		name := fmt.Sprintf("nobody-%d", i)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		// A patch: controllers write to a new node, too.
		if _, err := kube.CoreV1().Nodes().Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	waitNodes(t, kube, n)
}

func waitNodes(t *testing.T, kube kubernetes.Interface, n int) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d ready nodes", n), func(ctx context.Context) (bool, string) {
		nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		ready := 0
		for _, node := range nodes.Items {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
					ready++
				}
			}
		}
		return err == nil && ready == n, fmt.Sprintf("%d ready of %d (%v)", ready, len(nodes.Items), err)
	})
}

// scheduled creates a pod and returns how long it waited for a node.
func scheduled(t *testing.T, kube kubernetes.Interface, name string) time.Duration {
	t.Helper()
	pods := kube.CoreV1().Pods(metav1.NamespaceDefault)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	began := time.Now()
	if _, err := pods.Create(ctx, plainPod(name), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for e := range w.ResultChan() {
		if p, ok := e.Object.(*corev1.Pod); ok && e.Type != watch.Error && p.Spec.NodeName != "" {
			return time.Since(began)
		}
	}
	t.Fatalf("%s was not bound in %s", name, time.Since(began))
	return 0
}

func plainPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "pintle.test/absent:1"}}},
	}
}
