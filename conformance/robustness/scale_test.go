package robustness

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
)

var (
	scalePods  = flag.Int("scale.pods", 1000, "pods of TestIdleAtScale, in Deployments of 1,000, ten to a node")
	scaleApply = flag.Duration("scale.apply", 0, "how long 1,000 replicas may take to be available in TestThousandReplicas; 0 prints it only")
	scaleRoll  = flag.Duration("scale.roll", 0, "how long their roll may take; 0 prints it only")
	scaleIdle  = flag.Float64("scale.idle", 0, "how much of a core, in percent, a server at rest may take in TestIdleAtScale; 0 prints it only")
	scaleRest  = flag.Duration("scale.rest", 10*time.Second, "how long TestIdleAtScale looks at a server at rest")
)

const bigDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: big}
spec:
  replicas: 1000
  selector: {matchLabels: {app: big}}
  template:
    metadata: {labels: {app: big}}
    spec:
      containers:
      - name: main
        image: pintle.test/absent:1
        resources: {requests: {cpu: 100m, memory: 100Mi}}
`

// Every pod of a Deployment of 1,000 on 100 fake nodes comes to run, and it is rolled
// within its bounds.
func TestThousandReplicas(t *testing.T) {
	c, kube := server(t, "--fake-nodes", "100")
	waitNodes(t, kube, 100)
	began := time.Now()
	if got := run(t, command(t, c, bigDeployment, "apply", "-f", "-")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	eventually(t, time.Minute, "1,000 available replicas", func(ctx context.Context) (bool, string) {
		d, err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, "big", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 1000, fmt.Sprint(status(d), err)
	})
	took := time.Since(began)
	pods, err := kube.CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	running := 0
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && strings.HasPrefix(p.Name, "big-") {
			running++
		}
	}
	if running != 1000 || len(pods.Items) != 1000 {
		t.Errorf("%d of %d pods run, want 1000 of 1000", running, len(pods.Items))
	}
	t.Logf("1,000 replicas available %s after apply", took.Round(time.Millisecond))
	if *scaleApply > 0 && took > *scaleApply {
		t.Errorf("1,000 replicas took %s, want %s at most", took, *scaleApply)
	}
	roll(t, c, kube)
}

// roll gives the Deployment another template and waits until all pods are of it.
func roll(t *testing.T, c *harness.Cluster, kube kubernetes.Interface) {
	t.Helper()
	began := time.Now()
	changed := strings.Replace(bigDeployment, "100Mi", "101Mi", 1)
	if got := run(t, command(t, c, changed, "apply", "-f", "-")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	eventually(t, time.Minute, "1,000 replicas of the new template", func(ctx context.Context) (bool, string) {
		d, err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, "big", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		s := d.Status
		if s.ObservedGeneration == 2 && s.AvailableReplicas < 750 {
			t.Errorf("%d of 1,000 replicas are available, want 750 at least", s.AvailableReplicas)
		}
		return s.ObservedGeneration == 2 && s.UpdatedReplicas == 1000 && s.AvailableReplicas == 1000 && s.Replicas == 1000, status(d)
	})
	took := time.Since(began)
	t.Logf("rolled in %s", took.Round(time.Millisecond))
	if *scaleRoll > 0 && took > *scaleRoll {
		t.Errorf("the roll took %s, want %s at most", took, *scaleRoll)
	}
}

// At rest, a server with many fake nodes and pods takes little of a core: their Leases
// are the only work left.
func TestIdleAtScale(t *testing.T) {
	c, kube := server(t, "--fake-nodes", strconv.Itoa(*scalePods/10))
	for i := range *scalePods / 1000 {
		one := strings.ReplaceAll(bigDeployment, "big", fmt.Sprintf("big-%d", i))
		if got := run(t, command(t, c, one, "apply", "-f", "-")); got.status != 0 {
			t.Fatal(got.stderr)
		}
	}
	for i := range *scalePods / 1000 {
		eventually(t, 3*time.Minute, "1,000 available replicas", func(ctx context.Context) (bool, string) {
			d, err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, fmt.Sprintf("big-%d", i), metav1.GetOptions{})
			return err == nil && d.Status.AvailableReplicas == 1000, fmt.Sprint(status(d), err)
		})
	}
	spent := func(d time.Duration) time.Duration {
		before, err := harness.ProcessorTime(c.PID())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(d)
		after, err := harness.ProcessorTime(c.PID())
		if err != nil {
			t.Fatal(err)
		}
		return after - before
	}
	eventually(t, 2*time.Minute, "a server at rest", func(context.Context) (bool, string) {
		took := spent(5 * time.Second)
		return took < 200*time.Millisecond, took.String()
	})
	percent := 100 * spent(*scaleRest).Seconds() / scaleRest.Seconds()
	t.Logf("%d pods on %d fake nodes at rest: %.2f %% of a core", *scalePods, *scalePods/10, percent)
	if *scaleIdle > 0 && percent > *scaleIdle {
		t.Errorf("at rest the server takes %.2f %% of a core, want %g at most", percent, *scaleIdle)
	}
}

func status(d *appsv1.Deployment) string {
	if d == nil {
		return "none"
	}
	return fmt.Sprintf("%d pods, %d available", d.Status.Replicas, d.Status.AvailableReplicas)
}
