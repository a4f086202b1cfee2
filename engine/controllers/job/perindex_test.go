package job_test

import (
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
)

// TestIndexesFailAlone lets pods fail at random, crashing between the actions of
// plans, deletes failed pods that nothing holds, and checks that no index is tried
// more often than its limit says, and that the job ends as its indexes did.
func TestIndexesFailAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		completions := rapid.Int32Range(1, 4).Draw(t, "completions")
		limit := rapid.Int32Range(0, 2).Draw(t, "limit")
		w.Put(&batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sum", UID: "job"},
			Spec: batchv1.JobSpec{
				Completions: &completions, Parallelism: ptr.To(rapid.Int32Range(1, 4).Draw(t, "parallelism")),
				CompletionMode: ptr.To(batchv1.IndexedCompletion), BackoffLimitPerIndex: &limit,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"job": "sum"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"job": "sum"}},
					Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
				},
			},
		})
		failures, succeeded := map[string]int32{}, map[string]bool{}
		for step := range 200 {
			result := plan(w)
			if cut := rapid.IntRange(0, 3).Draw(t, "crash"); step < 60 && cut < len(result.Actions) {
				result.Actions = result.Actions[:cut]
			}
			w.Act(result)
			w.Now = w.Now.Add(11 * time.Minute)
			for _, pod := range plantest.List[*corev1.Pod](w) {
				index := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
				switch {
				case pod.Status.Phase == corev1.PodFailed && len(pod.Finalizers) == 0 && rapid.Bool().Draw(t, "collect"):
					w.Remove(pod)
				case pod.Status.Phase != "":
				case rapid.Bool().Draw(t, "fails"):
					setPhase(w, pod, corev1.PodFailed)
					failures[index]++
				default:
					setPhase(w, pod, corev1.PodSucceeded)
					succeeded[index] = true
				}
			}
			if step > 60 && len(plan(w).Actions) == 0 {
				break
			}
		}
		status := plantest.List[*batchv1.Job](w)[0].Status
		want := batchv1.JobComplete
		total := int32(0)
		for index, n := range failures {
			total += n
			if n > limit+1 {
				t.Fatalf("index %s was tried after %d failures, with a limit of %d", index, n-1, limit)
			}
			if n > limit && !succeeded[index] {
				want = batchv1.JobFailed
			}
		}
		ended := slices.ContainsFunc(status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == want && c.Status == corev1.ConditionTrue })
		if !ended || status.Succeeded != int32(len(succeeded)) || status.Failed != total {
			t.Fatalf("status %+v; want %s with %d succeeded and %d failed", status, want, len(succeeded), total)
		}
	})
}
