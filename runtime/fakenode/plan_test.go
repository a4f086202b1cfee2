package fakenode

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var epoch = time.Unix(1_700_000_000, 0)

func boundPod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", Generation: 2},
		Spec:       corev1.PodSpec{NodeName: "fake-1", Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(epoch)},
		}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func TestPlan(t *testing.T) {
	const delay = time.Second
	running := func(p *corev1.Pod) {
		p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &metav1.Time{Time: epoch.Add(delay)}
	}
	ofJob := func(p *corev1.Pod) {
		running(p)
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "j", Controller: &yes}}
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	for _, c := range []struct {
		name   string
		change func(*corev1.Pod)
		at     time.Duration
		phase  corev1.PodPhase
		remove bool
		after  time.Duration
	}{
		{name: "just bound", at: 200 * time.Millisecond, after: 800 * time.Millisecond},
		{name: "delay over", at: delay, phase: corev1.PodRunning},
		{name: "running", change: running, at: time.Hour},
		{name: "job's pod runs", change: ofJob, at: delay + 400*time.Millisecond, after: 600 * time.Millisecond},
		{name: "job's pod is done", change: ofJob, at: 2 * delay, phase: corev1.PodSucceeded},
		{name: "deleted", change: func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: epoch} }, remove: true},
		{name: "failed", change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, at: time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := plan(boundPod(c.change), "100.64.0.1", "198.18.0.1", delay, epoch.Add(c.at))
			var phase corev1.PodPhase
			if got.status != nil {
				phase = got.status.Phase
			}
			if phase != c.phase || got.remove != c.remove || got.after != c.after {
				t.Errorf("phase %q remove %v after %s, want %q %v %s", phase, got.remove, got.after, c.phase, c.remove, c.after)
			}
		})
	}
}

func TestRunningStatusIsReady(t *testing.T) {
	got := plan(boundPod(nil), "100.64.0.1", "198.18.0.1", 0, epoch.Add(time.Second)).status
	if got.PodIP != "100.64.0.1" || got.ObservedGeneration != 2 || !got.ContainerStatuses[0].Ready {
		t.Errorf("status %+v", got)
	}
	for _, c := range got.Conditions {
		if c.Status != corev1.ConditionTrue {
			t.Errorf("condition %s is %s", c.Type, c.Status)
		}
	}
	if len(got.Conditions) != 5 {
		t.Errorf("%d conditions, want 5", len(got.Conditions))
	}
}
