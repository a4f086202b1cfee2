package replicaset_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/replicaset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func plan(w *plantest.World) reconcile.Result {
	pods := plantest.List[*corev1.Pod](w)
	return replicaset.Plan(replicaset.Observed{
		ReplicaSet: plantest.List[*appsv1.ReplicaSet](w)[0], Pods: pods, Related: pods, Now: w.Now,
	})
}

// run makes every pod run and be ready.
func run(w *plantest.World) {
	for _, pod := range plantest.List[*corev1.Pod](w) {
		if pod.Status.Phase == "" || pod.Status.Phase == corev1.PodPending {
			setPhase(w, pod, corev1.PodRunning)
		}
	}
}

func setPhase(w *plantest.World, pod *corev1.Pod, phase corev1.PodPhase) {
	updated := pod.DeepCopy()
	updated.Spec.NodeName = "node"
	updated.Status.Phase = phase
	updated.Status.Conditions = nil
	if phase == corev1.PodRunning {
		updated.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.Now)}}
	}
	w.Put(updated)
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, run) }

func newSet(replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "rs"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
			},
		},
	}
}

// TestConverges upsets a ReplicaSet at random and checks that, left alone, it
// comes to exactly the pods it asks for and then rests.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(newSet(3))
		for range rapid.IntRange(0, 15).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				rs := plantest.List[*appsv1.ReplicaSet](w)[0].DeepCopy()
				rs.Spec.Replicas = ptr.To(rapid.Int32Range(0, 20).Draw(t, "replicas"))
				w.Put(rs)
			case 1:
				if pods := plantest.List[*corev1.Pod](w); len(pods) > 0 {
					w.Remove(rapid.SampledFrom(pods).Draw(t, "removed"))
				}
			case 2:
				if pods := plantest.List[*corev1.Pod](w); len(pods) > 0 {
					setPhase(w, rapid.SampledFrom(pods).Draw(t, "failed"), corev1.PodFailed)
				}
			case 3:
				stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("orphan", rapid.IntRange(0, 3).Draw(t, "orphan")), Labels: map[string]string{"app": "web"}}}
				w.Put(stranger)
			case 4:
				run(w)
			case 5:
				w.Act(plan(w))
			}
		}
		for range 10 {
			w.Act(plan(w))
			run(w)
		}
		rs := plantest.List[*appsv1.ReplicaSet](w)[0]
		var running int32
		for _, pod := range plantest.List[*corev1.Pod](w) {
			if pod.Status.Phase == corev1.PodRunning && metav1.IsControlledBy(pod, rs) {
				running++
			}
		}
		if running != *rs.Spec.Replicas || rs.Status.ReadyReplicas != running || rs.Status.AvailableReplicas != running {
			t.Fatalf("%d running, status %+v, want %d", running, rs.Status, *rs.Spec.Replicas)
		}
		if result := plan(w); len(result.Actions) != 0 {
			t.Fatalf("a settled ReplicaSet is still acted upon: %v", result.Actions)
		}
	})
}

func TestOrderOfPodsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(newSet(rapid.Int32Range(0, 5).Draw(t, "start")))
		w.Act(plan(w))
		for _, pod := range plantest.List[*corev1.Pod](w) {
			setPhase(w, pod, rapid.SampledFrom([]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodFailed}).Draw(t, "phase"))
		}
		rs := plantest.List[*appsv1.ReplicaSet](w)[0].DeepCopy()
		rs.Spec.Replicas = ptr.To(rapid.Int32Range(0, 5).Draw(t, "replicas"))
		pods := plantest.List[*corev1.Pod](w)
		shuffled := rapid.Permutation(pods).Draw(t, "order")
		one := replicaset.Plan(replicaset.Observed{ReplicaSet: rs, Pods: pods, Related: pods, Now: w.Now})
		two := replicaset.Plan(replicaset.Observed{ReplicaSet: rs, Pods: shuffled, Related: shuffled, Now: w.Now})
		if diff := cmp.Diff(one.Actions, two.Actions); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestFailureIsReported checks the condition that a failed batch leaves, and that
// it goes again when all is well.
func TestFailureIsReported(t *testing.T) {
	w := plantest.NewWorld()
	w.Put(newSet(2))
	result := plan(w)
	last := result.OnFailure(reconcile.Failure{Action: result.Actions[0], Err: fmt.Errorf("quota exceeded")})
	w.Act(reconcile.Result{Actions: last})
	conditions := plantest.List[*appsv1.ReplicaSet](w)[0].Status.Conditions
	if len(conditions) != 1 || conditions[0].Reason != "FailedCreate" || conditions[0].Message != "quota exceeded" {
		t.Fatalf("conditions after a failure: %+v", conditions)
	}
	for range 3 {
		w.Act(plan(w))
		run(w)
	}
	if conditions := plantest.List[*appsv1.ReplicaSet](w)[0].Status.Conditions; len(conditions) != 0 {
		t.Errorf("conditions after recovery: %+v", conditions)
	}
}
