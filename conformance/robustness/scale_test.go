package robustness

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Every pod of a Deployment of 1,000 on 100 fake nodes reports running within ten
// seconds of apply.
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
	if took > 10*time.Second {
		t.Errorf("1,000 replicas took %s, want 10 s at most", took)
	}
}

func status(d *appsv1.Deployment) string {
	if d == nil {
		return "none"
	}
	return fmt.Sprintf("%d pods, %d available", d.Status.Replicas, d.Status.AvailableReplicas)
}
