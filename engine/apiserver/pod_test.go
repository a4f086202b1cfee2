package apiserver_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "image"}}},
	}
}

func (e *environment) createPod(t *testing.T, ns, name string) *corev1.Pod {
	t.Helper()
	p, err := e.kube.CoreV1().Pods(ns).Create(e.ctx, pod(name), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (e *environment) bind(ns, name, node string) error {
	return e.kube.CoreV1().Pods(ns).Bind(e.ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
}

func TestBindingOnce(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	e.createPod(t, ns, "p")
	if err := e.bind(ns, "p", "n1"); err != nil {
		t.Fatal(err)
	}
	p, err := e.kube.CoreV1().Pods(ns).Get(e.ctx, "p", metav1.GetOptions{})
	if err != nil || p.Spec.NodeName != "n1" {
		t.Fatalf("bound to %q: %v", p.Spec.NodeName, err)
	}
	scheduled := false
	for _, c := range p.Status.Conditions {
		scheduled = scheduled || c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue
	}
	if !scheduled {
		t.Errorf("conditions: %+v", p.Status.Conditions)
	}
	if err := e.bind(ns, "p", "n2"); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `already assigned to node "n1"`) {
		t.Errorf("second binding: %v", err)
	}
	if err := e.bind(ns, "absent", "n1"); !apierrors.IsNotFound(err) {
		t.Errorf("absent pod: %v", err)
	}
	on, err := e.kube.CoreV1().Pods("").List(e.ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n1"})
	if err != nil || len(on.Items) != 1 {
		t.Errorf("pods of the node: %v %v", on, err)
	}
}

func TestPodsEndGracefully(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	pods := e.kube.CoreV1().Pods(ns)
	e.createPod(t, ns, "unscheduled")
	if err := pods.Delete(e.ctx, "unscheduled", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Get(e.ctx, "unscheduled", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod without a node has no one to wait for: %v", err)
	}
	e.createPod(t, ns, "running")
	if err := e.bind(ns, "running", "n"); err != nil {
		t.Fatal(err)
	}
	if err := pods.Delete(e.ctx, "running", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p, err := pods.Get(e.ctx, "running", metav1.GetOptions{})
	if err != nil || p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds != 30 {
		t.Fatalf("graceful delete: %+v %v", p, err)
	}
	if err := e.bind(ns, "running", "n"); !apierrors.IsConflict(err) {
		t.Errorf("bind while deleting: %v", err)
	}
	zero := int64(0)
	if err := pods.Delete(e.ctx, "running", metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Get(e.ctx, "running", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the agent's delete: %v", err)
	}
}

func TestEvictionObeysBudgets(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	one := intstr.FromInt32(1)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "p"}}},
	}
	budget, err := e.kube.PolicyV1().PodDisruptionBudgets(ns).Create(e.ctx, budget, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.createPod(t, ns, "p")
	if err := e.bind(ns, "p", "n"); err != nil {
		t.Fatal(err)
	}
	p, err := e.kube.CoreV1().Pods(ns).Get(e.ctx, "p", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	if _, err := e.kube.CoreV1().Pods(ns).UpdateStatus(e.ctx, p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	evict := func() error {
		return e.kube.PolicyV1().Evictions(ns).Evict(e.ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: ns}})
	}
	budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1}
	if budget, err = e.kube.PolicyV1().PodDisruptionBudgets(ns).UpdateStatus(e.ctx, budget, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := evict(); !apierrors.IsTooManyRequests(err) {
		t.Fatalf("exhausted budget: %v", err)
	}
	budget.Status.DisruptionsAllowed = 1
	if _, err = e.kube.PolicyV1().PodDisruptionBudgets(ns).UpdateStatus(e.ctx, budget, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := evict(); err != nil {
		t.Fatal(err)
	}
	if budget, err = e.kube.PolicyV1().PodDisruptionBudgets(ns).Get(e.ctx, "b", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, taken := budget.Status.DisruptedPods["p"]; !taken || budget.Status.DisruptionsAllowed != 0 {
		t.Errorf("budget after eviction: %+v", budget.Status)
	}
	if p, err = e.kube.CoreV1().Pods(ns).Get(e.ctx, "p", metav1.GetOptions{}); err != nil || p.DeletionTimestamp == nil {
		t.Errorf("evicted pod: %v %v", p, err)
	}
}

func TestEphemeralContainersAndResize(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	p := e.createPod(t, ns, "p")
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox", TerminationMessagePolicy: "File", ImagePullPolicy: "Always"},
	}}
	p.Spec.Containers[0].Image = "ignored"
	p, err := e.kube.CoreV1().Pods(ns).UpdateEphemeralContainers(e.ctx, "p", p, metav1.UpdateOptions{})
	if err != nil || len(p.Spec.EphemeralContainers) != 1 || p.Spec.Containers[0].Image != "image" {
		t.Fatalf("add: %+v %v", p, err)
	}
	p.Spec.EphemeralContainers = nil
	if _, err = e.kube.CoreV1().Pods(ns).UpdateEphemeralContainers(e.ctx, "p", p, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("remove: %v", err)
	}
}

func TestNamespacesEndInTwoSteps(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	namespaces := e.kube.CoreV1().Namespaces()
	if err := namespaces.Delete(e.ctx, ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n, err := namespaces.Get(e.ctx, ns, metav1.GetOptions{})
	if err != nil || n.Status.Phase != corev1.NamespaceTerminating || n.DeletionTimestamp == nil || len(n.Spec.Finalizers) != 1 {
		t.Fatalf("marked: %+v %v", n, err)
	}
	n.Spec.Finalizers = nil
	if _, err := namespaces.Finalize(e.ctx, n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := namespaces.Get(e.ctx, ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("finalized: %v", err)
	}
}

// What the two subresources let through is checked as a pod is, and resources may
// grow or shrink but not go.
func TestEphemeralContainersAndResizeAreValidated(t *testing.T) {
	e := start(t)
	pods := e.kube.CoreV1().Pods(e.namespace(t, "a"))
	p := pod("p")
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	p, err := pods.Create(e.ctx, p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	debug := p.DeepCopy()
	debug.Spec.EphemeralContainers = []corev1.EphemeralContainer{{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox", TerminationMessagePolicy: "File", ImagePullPolicy: "Always"},
		TargetContainerName:      "absent",
	}}
	_, err = pods.UpdateEphemeralContainers(e.ctx, "p", debug, metav1.UpdateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.ephemeralContainers[0].targetContainerName: Not found") {
		t.Errorf("unknown target: %v", err)
	}
	for _, c := range []struct {
		name string
		edit func(r *corev1.ResourceRequirements)
		want string // in the error; empty for none
	}{
		{"more", func(r *corev1.ResourceRequirements) { r.Requests[corev1.ResourceCPU] = resource.MustParse("2") }, ""},
		{"less than nothing", func(r *corev1.ResourceRequirements) { r.Requests[corev1.ResourceCPU] = resource.MustParse("-1") }, "must be greater than or equal to 0"},
		{"gone", func(r *corev1.ResourceRequirements) { delete(r.Requests, corev1.ResourceCPU) }, "resource requests cannot be removed"},
		{"other", func(r *corev1.ResourceRequirements) {
			r.Requests[corev1.ResourceEphemeralStorage] = resource.MustParse("1Gi")
		}, "only cpu and memory resources are mutable"},
	} {
		resized := p.DeepCopy()
		resized.ResourceVersion = ""
		c.edit(&resized.Spec.Containers[0].Resources)
		_, err := pods.UpdateResize(e.ctx, "p", resized, metav1.UpdateOptions{})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
