package job_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/job"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func plan(w *plantest.World) reconcile.Result {
	return job.Plan(job.Observed{Job: plantest.List[*batchv1.Job](w)[0], Pods: plantest.List[*corev1.Pod](w), Now: w.Now})
}

func setPhase(w *plantest.World, pod *corev1.Pod, phase corev1.PodPhase) {
	updated := pod.DeepCopy()
	updated.Status.Phase = phase
	if phase == corev1.PodFailed || phase == corev1.PodSucceeded {
		code := int32(0)
		if phase == corev1.PodFailed {
			code = 1
		}
		updated.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(w.Now)},
		}}}
	}
	w.Put(updated)
}

// succeed ends every running pod well.
func succeed(w *plantest.World) {
	for _, pod := range plantest.List[*corev1.Pod](w) {
		if pod.Status.Phase == "" {
			setPhase(w, pod, corev1.PodSucceeded)
		}
	}
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, succeed) }

// TestCountsEachPodOnce runs jobs whose pods succeed, fail and vanish at random,
// with crashes between the actions of a plan, and checks the final count.
func TestCountsEachPodOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		indexed := rapid.Bool().Draw(t, "indexed")
		mode := batchv1.NonIndexedCompletion
		if indexed {
			mode = batchv1.IndexedCompletion
		}
		completions := rapid.Int32Range(1, 6).Draw(t, "completions")
		w.Put(&batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sum", UID: "job"},
			Spec: batchv1.JobSpec{
				Completions: &completions, Parallelism: ptr.To(rapid.Int32Range(1, 6).Draw(t, "parallelism")),
				CompletionMode: &mode, BackoffLimit: ptr.To(int32(1000)),
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"job": "sum"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"job": "sum"}},
					Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
				},
			},
		})
		failures := int32(0)
		for step := range 300 {
			result := plan(w)
			if cut := rapid.IntRange(0, 3).Draw(t, "crash"); step < 100 && cut < len(result.Actions) {
				result.Actions = result.Actions[:cut]
			}
			w.Act(result)
			w.Now = w.Now.Add(11 * 60e9)
			for _, pod := range plantest.List[*corev1.Pod](w) {
				if pod.Status.Phase != "" {
					continue
				}
				if step < 100 && rapid.IntRange(0, 3).Draw(t, "fate") == 0 {
					setPhase(w, pod, corev1.PodFailed)
					failures++
				} else {
					setPhase(w, pod, corev1.PodSucceeded)
				}
			}
			if len(plan(w).Actions) == 0 && step > 100 {
				break
			}
		}
		status := plantest.List[*batchv1.Job](w)[0].Status
		if status.Succeeded < completions || indexed && status.Succeeded != completions || status.Failed != failures || status.CompletionTime == nil {
			t.Fatalf("status %+v; want %d succeeded, %d failed", status, completions, failures)
		}
		for _, pod := range plantest.List[*corev1.Pod](w) {
			if len(pod.Finalizers) > 0 {
				t.Fatalf("pod %s keeps its finalizer after the job ended", pod.Name)
			}
		}
	})
}
