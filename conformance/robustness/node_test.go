package robustness

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/fixtures"
	"github.com/pintle-io/pintle/conformance/harness"
)

// marker, with a name behind it, is the last argument of every container's
// process here, so that it can be found among the machine's.
const marker = "robustness-container-"

// A cluster with two nodes through crashes and its end. The parts build on each
// other.
func TestNodes(t *testing.T) {
	needNodes(t)
	c := newCluster(t, "up", "--nodes", "2")
	before := observeMachine(t, c.DataDir)
	t.Logf("ready after %s", start(t, c))
	importBusybox(t, c)
	kube := client(t, c)
	waitNodes(t, kube, 2)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, c *harness.Cluster, kube kubernetes.Interface)
	}{
		{"second cluster", secondCluster},
		{"deleted pod is replaced", replacement},
		{"killed container is restarted", killedContainer},
		{"missing image", missingImage},
		{"containers outlive a crash", containersOutlive},
		{"a node is cut off", cutOff},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, c, client(t, c)) }) {
			t.Log("the parts after this one ran on what it left")
		}
	}
	t.Run("down", func(t *testing.T) { downLeavesNothing(t, c, before) })
	t.Run("up again", func(t *testing.T) { upAgain(t, c, before) })
}

// talking is a pod that counts lines.
func talking(name string) corev1.PodSpec {
	grace := int64(1)
	return corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{
			Name: "main", Image: fixtures.BusyboxImage,
			Command: []string{"sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; usleep 100000; done", marker + name},
		}},
	}
}

func startPod(t *testing.T, kube kubernetes.Interface, name string, spec corev1.PodSpec) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// mainStatus is the status of a pod's only container.
func mainStatus(ctx context.Context, kube kubernetes.Interface, name string) (corev1.ContainerStatus, error) {
	p, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return corev1.ContainerStatus{}, err
	}
	if len(p.Status.ContainerStatuses) != 1 {
		return corev1.ContainerStatus{}, fmt.Errorf("no container status: %s %s %v", p.Status.Phase, p.Status.Message, p.Status.Conditions)
	}
	return p.Status.ContainerStatuses[0], nil
}

func waitRunning(t *testing.T, kube kubernetes.Interface, name string) corev1.ContainerStatus {
	t.Helper()
	var s corev1.ContainerStatus
	eventually(t, time.Minute, name+" to run", func(ctx context.Context) (bool, string) {
		var err error
		s, err = mainStatus(ctx, kube, name)
		return err == nil && s.State.Running != nil && s.Ready, fmt.Sprintf("%+v %v", s.State, err)
	})
	return s
}

func secondCluster(t *testing.T, c *harness.Cluster, _ kubernetes.Interface) {
	other := filepath.Join(t.TempDir(), "data")
	clear(t, run(t, command(t, c, "", "up", "--data", c.DataDir, "--listen", "127.0.0.1:0")), "already runs on "+c.DataDir)
	clear(t, run(t, command(t, c, "", "up", "--data", other, "--listen", "127.0.0.1:0")),
		c.DataDir+" has its nodes on this machine already", "pintle down --data "+c.DataDir)
	noCluster(t, other)
}

func replacement(t *testing.T, c *harness.Cluster, kube kubernetes.Interface) {
	const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: ` + fixtures.BusyboxImage + `
        command: [sh, -c, "while true; do sleep 1; done", ` + marker + `web]
`
	if got := run(t, command(t, c, manifest, "apply", "-f", "-")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	running := func(ctx context.Context, except string) (names []string) {
		pods, err := kube.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return nil
		}
		for _, p := range pods.Items {
			if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && p.Name != except {
				names = append(names, p.Name)
			}
		}
		return names
	}
	eventually(t, time.Minute, "two pods of the Deployment", func(ctx context.Context) (bool, string) {
		now := running(ctx, "")
		return len(now) == 2, fmt.Sprint(now)
	})
	victim := running(t.Context(), "")[0]
	began := time.Now()
	if err := kube.CoreV1().Pods(metav1.NamespaceDefault).Delete(t.Context(), victim, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "a replacement", func(ctx context.Context) (bool, string) {
		now := running(ctx, victim)
		return len(now) == 2, fmt.Sprint(now)
	})
	took := time.Since(began)
	t.Logf("a replacement runs %s after the deletion", took.Round(time.Millisecond))
	if took > 10*time.Second { // 2 s on a quiet machine
		t.Errorf("a replacement took %s", took)
	}
}

func killedContainer(t *testing.T, _ *harness.Cluster, kube kubernetes.Interface) {
	startPod(t, kube, "victim", talking("victim"))
	waitRunning(t, kube, "victim")
	var waits []time.Duration
	for restarts := range int32(3) {
		// containerd says "running" when runc lets the process go, a moment before
		// that process is the container's command.
		var found []process
		eventually(t, 10*time.Second, "one process of the container", func(context.Context) (bool, string) {
			found = containerProcesses(t, "victim")
			return len(found) == 1, fmt.Sprint(found)
		})
		if err := syscall.Kill(found[0].pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if restarts == 2 {
			break
		}
		waits = append(waits, eventually(t, 90*time.Second, "the next start", func(ctx context.Context) (bool, string) {
			s, err := mainStatus(ctx, kube, "victim")
			return err == nil && s.RestartCount == restarts+1 && s.State.Running != nil, fmt.Sprintf("%d %+v %v", s.RestartCount, s.State, err)
		}))
	}
	eventually(t, 30*time.Second, "back-off to show", func(ctx context.Context) (bool, string) {
		s, err := mainStatus(ctx, kube, "victim")
		w := s.State.Waiting
		return err == nil && w != nil && w.Reason == "CrashLoopBackOff" && s.LastTerminationState.Terminated != nil &&
			s.LastTerminationState.Terminated.ExitCode == 137, fmt.Sprintf("%+v last %+v", s.State, s.LastTerminationState)
	})
	t.Logf("started again after %v", waits)
	if waits[1] < 5*time.Second {
		t.Errorf("the second start came after %s, want back-off", waits[1])
	}
	if err := kube.CoreV1().Pods(metav1.NamespaceDefault).Delete(t.Context(), "victim", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func missingImage(t *testing.T, _ *harness.Cluster, kube kubernetes.Interface) {
	spec := talking("absent")
	spec.Containers[0].Image = "pintle.test/absent:1"
	startPod(t, kube, "absent", spec)
	eventually(t, time.Minute, "the image to be named", func(ctx context.Context) (bool, string) {
		s, err := mainStatus(ctx, kube, "absent")
		w := s.State.Waiting
		return err == nil && w != nil && (w.Reason == "ErrImagePull" || w.Reason == "ImagePullBackOff") &&
			strings.Contains(w.Message, "pintle.test/absent:1"), fmt.Sprintf("%+v %v", s.State.Waiting, err)
	})
	s, _ := mainStatus(t.Context(), kube, "absent")
	t.Logf("%+v", s.State.Waiting)
	if err := kube.CoreV1().Pods(metav1.NamespaceDefault).Delete(t.Context(), "absent", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// life is what must not change while the cluster's process is away.
type life struct {
	ContainerID string
	StartedAt   time.Time
	Restarts    int32
	Processes   []string
}

func lifeOf(t *testing.T, kube kubernetes.Interface, name string) life {
	t.Helper()
	s := waitRunning(t, kube, name)
	l := life{ContainerID: s.ContainerID, StartedAt: s.State.Running.StartedAt.Time, Restarts: s.RestartCount}
	// A container runs shortly before its command does, and a shell is there twice for
	// the moment of a fork.
	eventually(t, 10*time.Second, name+" to be one process", func(context.Context) (bool, string) {
		l.Processes = nil
		for _, p := range containerProcesses(t, name) {
			l.Processes = append(l.Processes, fmt.Sprintf("%d since %s", p.pid, p.started))
		}
		return len(l.Processes) == 1, fmt.Sprint(l.Processes)
	})
	return l
}

func containersOutlive(t *testing.T, c *harness.Cluster, kube kubernetes.Interface) {
	names := []string{"talker-0", "talker-1", "talker-2", "talker-3"}
	before := map[string]life{}
	for _, name := range names {
		startPod(t, kube, name, talking(name))
	}
	for _, name := range names {
		before[name] = lifeOf(t, kube, name)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready again after %s", start(t, c).Round(time.Millisecond))
	kube = client(t, c)
	at := linesOf(t, kube, "talker-0") // the node's agent answers again
	for _, name := range names {
		eventually(t, 30*time.Second, "more lines of "+name, func(context.Context) (bool, string) {
			now := linesOf(t, kube, name)
			return now > at+20, fmt.Sprint(now)
		})
	}
	after := map[string]life{}
	for _, name := range names {
		after[name] = lifeOf(t, kube, name)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("containers over a crash (-before +after):\n%s", diff)
	}
}

// linesOf returns how many lines a talking pod's log has, which must be the
// numbers from one on, and waits for the node to answer.
func linesOf(t *testing.T, kube kubernetes.Interface, name string) int {
	t.Helper()
	var log []byte
	eventually(t, 30*time.Second, "the log of "+name, func(ctx context.Context) (bool, string) {
		var err error
		log, err = kube.CoreV1().Pods(metav1.NamespaceDefault).GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
		return err == nil && len(log) > 0, fmt.Sprint(err)
	})
	lines := strings.Fields(string(log))
	for i, line := range lines {
		if line != strconv.Itoa(i+1) {
			t.Fatalf("line %d of %s is %q: lines were lost or told twice", i+1, name, line)
		}
	}
	return len(lines)
}

func downLeavesNothing(t *testing.T, c *harness.Cluster, before machine) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Down(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("down after %s", time.Since(began).Round(time.Millisecond))
	// Others may test on this machine and leave soon.
	eventually(t, 20*time.Second, "nothing to be left of the cluster", func(context.Context) (bool, string) {
		left := leftSince(t, before, c.DataDir)
		return len(left) == 0, strings.Join(left, "\n")
	})
	out, err := c.Pintle(ctx, "down", "--data", c.DataDir)
	if err != nil || !strings.Contains(out, "no cluster runs") {
		t.Errorf("down a second time: %q, %v", out, err)
	}
	if conn, err := net.Dial("tcp", c.Listen); err == nil {
		conn.Close()
		t.Errorf("%s still answers", c.Listen)
	}
}

// upAgain starts the cluster on its old data: the Deployment's pods run again.
func upAgain(t *testing.T, c *harness.Cluster, before machine) {
	t.Logf("ready after %s", start(t, c).Round(time.Millisecond))
	kube := client(t, c)
	took := eventually(t, time.Minute, "the Deployment to run again", func(ctx context.Context) (bool, string) {
		d, err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, "web", metav1.GetOptions{})
		found := containerProcesses(t, "web")
		return err == nil && d.Status.AvailableReplicas == 2 && len(found) == 2, fmt.Sprint(status(d), found, err)
	})
	t.Logf("the Deployment runs after %s", took.Round(time.Millisecond))
	downLeavesNothing(t, c, before)
}
