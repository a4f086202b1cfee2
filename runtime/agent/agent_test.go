package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pintle-io/pintle/runtime/container"
	ctrfake "github.com/pintle-io/pintle/runtime/container/fake"
)

const nodeName = "n1"

// newClient is a clientset in memory that honours the field selectors of the
// agent's watches.
func newClient(objs ...runtime.Object) *fake.Clientset {
	c := fake.NewClientset(objs...)
	c.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w := a.(clienttesting.WatchActionImpl)
		in, err := c.Tracker().Watch(a.GetResource(), a.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		return true, watch.Filter(in, func(e watch.Event) (watch.Event, bool) { return e, selected(w.GetWatchRestrictions().Fields, e.Object) }), nil
	})
	return c
}

func selected(sel fields.Selector, obj runtime.Object) bool {
	m, err := metaOf(obj)
	if err != nil {
		return true
	}
	set := fields.Set{"metadata.name": m.GetName()}
	if p, ok := obj.(*corev1.Pod); ok {
		set["spec.nodeName"] = p.Spec.NodeName
	}
	return sel.Matches(set)
}

func metaOf(obj runtime.Object) (metav1.Object, error) {
	m, ok := obj.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T", obj)
	}
	return m, nil
}

// noNetwork gives every pod the same address and keeps track of who has it.
type noNetwork struct {
	mu   sync.Mutex
	pods map[string]bool
}

func (n *noNetwork) Setup(_ context.Context, uid, _ string, _ *corev1.Pod) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods[uid] = true
	return []string{"127.0.0.1"}, nil
}

func (n *noNetwork) Teardown(_ context.Context, uid, _ string, _ *corev1.Pod) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pods, uid)
	return nil
}

func (n *noNetwork) Sweep(context.Context, map[string]bool) error { return nil }

func (n *noNetwork) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.pods)
}

type fixture struct {
	t       *testing.T
	client  *fake.Clientset
	runtime container.Runtime
	network *noNetwork
	cfg     Config
	stop    func()
}

func newFixture(t *testing.T, rt container.Runtime, objs ...runtime.Object) *fixture {
	t.Helper()
	f := &fixture{t: t, client: newClient(objs...), runtime: rt, network: &noNetwork{pods: map[string]bool{}}}
	f.cfg = Config{
		NodeName: nodeName, NodeIPs: []string{"192.0.2.1"}, Client: f.client, Runtime: rt, Network: f.network,
		DataDir: t.TempDir(), CgroupParent: "/pintle-agent-test", ClusterDNS: []string{"10.0.0.10"},
		CrashBackoff: 200 * time.Millisecond, CrashBackoffMax: time.Second,
		PodCIDRs: func([]netip.Prefix) error { return nil },
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	f.start()
	t.Cleanup(func() {
		f.stop()
		a, err := New(f.cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return f
}

// start runs an agent; stop ends it, leaving its containers.
func (f *fixture) start() {
	f.t.Helper()
	a, err := New(f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
		f.stop = func() {}
	}
}

func shell(name, script string) corev1.Container {
	return corev1.Container{Name: name, Image: testImage, Command: []string{"/bin/sh", "-c", script}}
}

const testImage = "docker.io/library/busybox:test"

const forever = "sleep 100000"

func newPod(name string, cs ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-" + name)},
		Spec:       corev1.PodSpec{NodeName: nodeName, RestartPolicy: corev1.RestartPolicyAlways, Containers: cs},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
}

func (f *fixture) create(pod *corev1.Pod) {
	f.t.Helper()
	if _, err := f.client.CoreV1().Pods(pod.Namespace).Create(f.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// await polls the pod until ok; nil is passed once it is deleted.
func (f *fixture) await(name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var pod *corev1.Pod
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		var err error
		pod, err = f.client.CoreV1().Pods("default").Get(context.Background(), name, metav1.GetOptions{})
		if errors.IsNotFound(err) {
			pod = nil
		} else if err != nil {
			f.t.Fatal(err)
		}
		if ok(pod) {
			return pod
		}
	}
	f.t.Fatalf("pod %s: not %s within 30 s:\n%s", name, what, describe(pod))
	return nil
}

func describe(pod *corev1.Pod) string {
	if pod == nil {
		return "deleted"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "phase %s %s %s\n", pod.Status.Phase, pod.Status.Reason, pod.Status.Message)
	for _, c := range pod.Status.Conditions {
		fmt.Fprintf(&b, "  %s=%s %s %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		fmt.Fprintf(&b, "  %s restarts=%d ready=%v state=%+v last=%+v\n", c.Name, c.RestartCount, c.Ready, c.State, c.LastTerminationState)
	}
	return b.String()
}

func ready(pod *corev1.Pod) bool {
	if pod == nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// markDeleted does what the API server does on a graceful delete.
func (f *fixture) markDeleted(name string, grace int64) {
	f.t.Helper()
	pod, err := f.client.CoreV1().Pods("default").Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	now := metav1.Now()
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	if _, err := f.client.CoreV1().Pods("default").Update(f.t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func TestPodLife(t *testing.T) {
	f := newFixture(t, ctrfake.New(testImage))
	f.create(newPod("p", shell("c", forever)))
	pod := f.await("p", "ready", ready)
	s := pod.Status
	if s.Phase != corev1.PodRunning || s.PodIP != "127.0.0.1" || s.HostIP != "192.0.2.1" || s.StartTime == nil || s.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("status: %+v", s)
	}
	c := s.ContainerStatuses[0]
	if c.State.Running == nil || !c.Ready || c.Started == nil || !*c.Started || !strings.HasPrefix(c.ContainerID, "fake://") {
		t.Errorf("container: %+v", c)
	}
	f.markDeleted("p", 1)
	f.await("p", "deleted", func(p *corev1.Pod) bool { return p == nil })
	if refs, _ := f.runtime.Pods(t.Context()); len(refs) != 0 || f.network.count() != 0 {
		t.Errorf("left behind: %v, %d networks", refs, f.network.count())
	}
}

func TestCrashLoop(t *testing.T) {
	f := newFixture(t, ctrfake.New(testImage))
	f.create(newPod("p", shell("c", "exit 3")))
	pod := f.await("p", "in CrashLoopBackOff with two restarts", func(p *corev1.Pod) bool {
		if p == nil || len(p.Status.ContainerStatuses) == 0 {
			return false
		}
		c := p.Status.ContainerStatuses[0]
		return c.RestartCount >= 2 && c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
	})
	c := pod.Status.ContainerStatuses[0]
	if last := c.LastTerminationState.Terminated; last == nil || last.ExitCode != 3 || last.Reason != "Error" {
		t.Errorf("last state: %+v", c.LastTerminationState)
	}
	if pod.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s", pod.Status.Phase)
	}
}

func TestCompletion(t *testing.T) {
	f := newFixture(t, ctrfake.New(testImage))
	for name, tc := range map[string]struct {
		script string
		policy corev1.RestartPolicy
		want   corev1.PodPhase
	}{
		"good":  {"exit 0", corev1.RestartPolicyNever, corev1.PodSucceeded},
		"bad":   {"exit 1", corev1.RestartPolicyNever, corev1.PodFailed},
		"retry": {"exit 0", corev1.RestartPolicyOnFailure, corev1.PodSucceeded},
	} {
		pod := newPod(name, shell("c", tc.script))
		pod.Spec.RestartPolicy = tc.policy
		f.create(pod)
		f.await(name, string(tc.want), func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == tc.want })
	}
}

func TestRestartOfTheAgent(t *testing.T) {
	rt := ctrfake.New(testImage)
	f := newFixture(t, rt)
	f.create(newPod("stays", shell("c", forever)))
	f.create(newPod("goes", shell("c", forever)))
	before := f.await("stays", "ready", ready)
	f.await("goes", "ready", ready)
	f.stop()
	if err := f.client.CoreV1().Pods("default").Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.start()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		refs, err := rt.Pods(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(refs) == 1 && refs[0].Name == "stays" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("remains were not swept: %v", refs)
		}
	}
	after := f.await("stays", "ready", ready)
	if a, b := before.Status.ContainerStatuses[0], after.Status.ContainerStatuses[0]; a.ContainerID != b.ContainerID || b.RestartCount != 0 {
		t.Errorf("container was replaced: %+v, %+v", a, b)
	}
}

func TestImagePullBackOff(t *testing.T) {
	rt := ctrfake.New()
	rt.FailPull(testImage, fmt.Errorf("no such registry"))
	f := newFixture(t, rt)
	f.create(newPod("p", shell("c", forever)))
	f.await("p", "ImagePullBackOff", func(p *corev1.Pod) bool {
		return p != nil && len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting != nil &&
			p.Status.ContainerStatuses[0].State.Waiting.Reason == "ImagePullBackOff" &&
			strings.Contains(p.Status.ContainerStatuses[0].State.Waiting.Message, "no such registry")
	})
}

func TestNode(t *testing.T) {
	f := newFixture(t, ctrfake.New(testImage))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		n, err := f.client.CoreV1().Nodes().Get(t.Context(), nodeName, metav1.GetOptions{})
		if err != nil {
			continue
		}
		l, err := f.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), nodeName, metav1.GetOptions{})
		if err != nil || l.Spec.RenewTime == nil {
			continue
		}
		if n.Labels[corev1.LabelHostname] != nodeName || n.Status.Capacity.Cpu().IsZero() || len(n.Status.Conditions) != 4 || n.Status.NodeInfo.ContainerRuntimeVersion != "fake://1" {
			t.Errorf("node: %+v", n)
		}
		return
	}
	t.Fatal("no node or no lease")
}

// TestRefusesWhatDoesNotFit: whoever bound it here, a pod that wants a taken port
// fails; it is not started.
func TestRefusesWhatDoesNotFit(t *testing.T) {
	f := newFixture(t, ctrfake.New(testImage))
	with := func(name string) *corev1.Pod {
		pod := newPod(name, shell("c", forever))
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 21017, ContainerPort: 80}}
		return pod
	}
	f.create(with("first"))
	f.await("first", "ready", ready)
	f.create(with("second"))
	failed := f.await("second", "refused", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if failed.Status.Reason != "NodePorts" || len(failed.Status.ContainerStatuses) > 0 {
		t.Errorf("second: %s", describe(failed))
	}
	if err := f.client.CoreV1().Pods("default").Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("first", "deleted", func(p *corev1.Pod) bool { return p == nil })
	f.create(with("third"))
	f.await("third", "ready", ready)
}
