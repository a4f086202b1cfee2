package fakenode

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

func TestFleet(t *testing.T) {
	const nodes, pods = 10, 100
	c := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	factory := informers.NewSharedInformerFactory(c, 0)
	inf := factory.Core().V1().Pods().Informer()
	f, err := New(Config{Count: nodes, Delay: 50 * time.Millisecond, Writer: Clientset(c), Pods: inf})
	if err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), inf.HasSynced)
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	for i := range pods {
		node := fmt.Sprintf("fake-%d", i%nodes)
		if i == 0 {
			node = "another"
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("p%d", i), UID: types.UID(fmt.Sprintf("u%d", i))},
			Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "x"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodPending},
		}
		if _, err := c.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func() []corev1.Pod {
		l, err := c.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return l.Items
	}
	await(t, "all pods running", func() bool {
		ips := map[string]bool{}
		n := 0
		for _, p := range list() {
			if p.Status.Phase == corev1.PodRunning {
				n++
				ips[p.Status.PodIP] = true
			}
		}
		return n == pods-1 && len(ips) == n
	})
	if p, err := c.CoreV1().Pods("default").Get(ctx, "p0", metav1.GetOptions{}); err != nil || p.Status.Phase != corev1.PodPending {
		t.Errorf("the pod of another node was touched: %+v, %v", p.Status, err)
	}
	p, err := c.CoreV1().Pods("default").Get(ctx, "p1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	p.DeletionTimestamp = &now
	if _, err := c.CoreV1().Pods("default").Update(ctx, p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the pod is deleted", func() bool { return len(list()) == pods-1 })
	l, err := c.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{})
	if err != nil || len(l.Items) != nodes {
		t.Errorf("%d leases, %v", len(l.Items), err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
