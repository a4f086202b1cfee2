package resourceclaim_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/resourceclaim"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// plan is the first step that anything in the world has to take.
func plan(w *plantest.World) reconcile.Result {
	claims := plantest.List[*resourcev1.ResourceClaim](w)
	pods := map[string]*corev1.Pod{}
	for _, pod := range plantest.List[*corev1.Pod](w) {
		pods[pod.Name] = pod
	}
	templates := map[string]*resourcev1.ResourceClaimTemplate{}
	for _, template := range plantest.List[*resourcev1.ResourceClaimTemplate](w) {
		templates[template.Name] = template
	}
	for _, pod := range plantest.List[*corev1.Pod](w) {
		if result := resourceclaim.PlanPod(resourceclaim.PodObserved{Pod: pod, Claims: claims, Templates: templates}); len(result.Actions) > 0 {
			return result
		}
	}
	for _, claim := range claims {
		if result := resourceclaim.PlanClaim(resourceclaim.ClaimObserved{Claim: claim, Pods: pods}); len(result.Actions) > 0 {
			return result
		}
	}
	return reconcile.Result{}
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, nil) }

// TestOneClaimPerEntry runs pods that ask for claims by template, with crashes, and
// checks that each entry has exactly one claim; when the pods end, none is left.
func TestOneClaimPerEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(&resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "t"}})
		want := 0
		for i := range rapid.IntRange(1, 3).Draw(t, "pods") {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", i)}}
			for j := range rapid.IntRange(0, 3).Draw(t, "entries") {
				pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims, corev1.PodResourceClaim{Name: fmt.Sprint("e", j), ResourceClaimTemplateName: ptr.To("t")})
				want++
			}
			w.Put(pod)
		}
		settle := func() {
			for step := 0; ; step++ {
				result := plan(w)
				if len(result.Actions) == 0 {
					return
				}
				if step > 100 {
					t.Fatalf("did not converge: %+v", result)
				}
				result.Actions = result.Actions[:rapid.IntRange(min(step/50, 1), len(result.Actions)).Draw(t, "crash")]
				w.Act(result)
			}
		}
		settle()
		named := map[string]bool{}
		for _, pod := range plantest.List[*corev1.Pod](w) {
			for _, status := range pod.Status.ResourceClaimStatuses {
				named[*status.ResourceClaimName] = true
			}
			done := pod.DeepCopy()
			done.Status.Phase = corev1.PodSucceeded
			w.Put(done)
		}
		if claims := plantest.List[*resourcev1.ResourceClaim](w); len(claims) != want || len(named) != want {
			t.Fatalf("%d claims, %d named, want %d", len(claims), len(named), want)
		}
		// A pod that has ended and lost its claim asks for it no more than for the others.
		for _, claim := range plantest.List[*resourcev1.ResourceClaim](w) {
			used := claim.DeepCopy()
			used.DeletionTimestamp = &metav1.Time{Time: w.Now}
			used.Finalizers = []string{resourcev1.Finalizer}
			used.Status.Allocation = &resourcev1.AllocationResult{}
			used.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "gone", UID: "gone"}}
			w.Put(used)
		}
		for _, pod := range plantest.List[*corev1.Pod](w) {
			w.Remove(pod)
		}
		settle()
		for _, claim := range plantest.List[*resourcev1.ResourceClaim](w) {
			if claim.Status.Allocation != nil || len(claim.Finalizers) > 0 || len(claim.Status.ReservedFor) > 0 {
				t.Fatalf("claim %s keeps %+v %v", claim.Name, claim.Status, claim.Finalizers)
			}
		}
	})
}
