package robustness

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
)

// away is the node that is cut off.
const away = "node-2"

// cutOff takes the link of a node away for longer than its lease lasts: pods that do
// not tolerate that for long are replaced elsewhere, others stay, and once it is healed
// nothing runs twice.
func cutOff(t *testing.T, c *harness.Cluster, kube kubernetes.Interface) {
	stays := talking("stays")
	stays.NodeName = away
	stays.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	startPod(t, kube, "stays", stays)
	startMover(t, kube)
	before := lifeOf(t, kube, "stays")
	var old corev1.Pod
	eventually(t, time.Minute, "the mover to run on "+away, func(ctx context.Context) (bool, string) {
		pods := movers(ctx, kube)
		if len(pods) == 1 {
			old = pods[0]
		}
		return len(pods) == 1 && old.Status.Phase == corev1.PodRunning && old.Spec.NodeName == away, fmt.Sprintf("%+v", old.Status)
	})

	switchLink(t, c, "cut")
	took := eventually(t, 2*time.Minute, away+" to be unknown", func(ctx context.Context) (bool, string) {
		ready := readiness(ctx, kube, away)
		return ready == corev1.ConditionUnknown, string(ready)
	})
	t.Logf("the node is unknown %s after it was cut off", took.Round(time.Second))
	if took < 30*time.Second {
		t.Errorf("the node was given up before its lease ran out")
	}
	took = eventually(t, time.Minute, "a replacement on another node", func(ctx context.Context) (bool, string) {
		for _, p := range movers(ctx, kube) {
			if p.UID != old.UID && p.Status.Phase == corev1.PodRunning && p.Spec.NodeName != away {
				return true, ""
			}
		}
		return false, fmt.Sprint(len(movers(ctx, kube)))
	})
	t.Logf("a replacement runs %s later", took.Round(time.Millisecond))
	p, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), "stays", metav1.GetOptions{})
	if err != nil || p.DeletionTimestamp != nil {
		t.Errorf("the pod that tolerates everything: %v, deleted at %v", err, p.DeletionTimestamp)
	}

	switchLink(t, c, "heal")
	took = eventually(t, time.Minute, away+" to be ready", func(ctx context.Context) (bool, string) {
		ready := readiness(ctx, kube, away)
		return ready == corev1.ConditionTrue, string(ready)
	})
	t.Logf("the node is ready %s after it was healed", took.Round(time.Millisecond))
	eventually(t, time.Minute, "one mover and no more", func(ctx context.Context) (bool, string) {
		pods, found := movers(ctx, kube), containerProcesses(t, "mover")
		return len(pods) == 1 && pods[0].UID != old.UID && len(found) == 1, fmt.Sprint(len(pods), found)
	})
	if diff := cmp.Diff(before, lifeOf(t, kube, "stays")); diff != "" {
		t.Errorf("the pod that stayed (-before +after):\n%s", diff)
	}
	if err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Delete(t.Context(), "mover", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// startMover starts a Deployment of one pod that would rather be on the node that is
// cut off, and leaves it soon then.
func startMover(t *testing.T, kube kubernetes.Interface) {
	t.Helper()
	one, soon := int32(1), int64(1)
	labels := map[string]string{"app": "mover"}
	spec := talking("mover")
	for _, key := range []string{corev1.TaintNodeUnreachable, corev1.TaintNodeNotReady} {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &soon,
		})
	}
	spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
		Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{away}},
		}},
	}}}}
	_, err := kube.AppsV1().Deployments(metav1.NamespaceDefault).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "mover"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func movers(ctx context.Context, kube kubernetes.Interface) []corev1.Pod {
	list, err := kube.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=mover"})
	if err != nil {
		return nil
	}
	return list.Items
}

func readiness(ctx context.Context, kube kubernetes.Interface, node string) corev1.ConditionStatus {
	n, err := kube.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return ""
}

func switchLink(t *testing.T, c *harness.Cluster, verb string) {
	t.Helper()
	if out, err := c.Pintle(t.Context(), "node", verb, "--data", c.DataDir, away); err != nil {
		t.Fatalf("pintle node %s: %v: %s", verb, err, out)
	}
}
