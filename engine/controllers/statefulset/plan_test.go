package statefulset_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/statefulset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func plan(w *plantest.World) reconcile.Result {
	claims := map[string]*corev1.PersistentVolumeClaim{}
	for _, claim := range plantest.List[*corev1.PersistentVolumeClaim](w) {
		claims[claim.Name] = claim
	}
	return statefulset.Plan(statefulset.Observed{
		Set: plantest.List[*appsv1.StatefulSet](w)[0], Pods: plantest.List[*corev1.Pod](w),
		Revisions: plantest.List[*appsv1.ControllerRevision](w), Claims: claims, Now: w.Now,
	})
}

// run makes every new pod run and be ready.
func run(w *plantest.World) {
	for _, pod := range plantest.List[*corev1.Pod](w) {
		if pod.Status.Phase != "" {
			continue
		}
		updated := pod.DeepCopy()
		updated.Status.Phase = corev1.PodRunning
		updated.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.Now)}}
		w.Put(updated)
	}
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, run) }
