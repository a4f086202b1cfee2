package replicationcontroller_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/replicationcontroller"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestOwnsItsPodsAsItself checks what differs from a ReplicaSet: the kind of the
// owner and of the status.
func TestOwnsItsPodsAsItself(t *testing.T) {
	w := plantest.NewWorld()
	w.Put(&corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "rc"},
		Spec: corev1.ReplicationControllerSpec{
			Replicas: ptr.To(int32(2)), Selector: map[string]string{"app": "x"},
			Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}}},
		},
	})
	plan := func() reconcile.Result {
		return replicationcontroller.Plan(replicationcontroller.Observed{
			Controller: plantest.List[*corev1.ReplicationController](w)[0], Pods: plantest.List[*corev1.Pod](w), Now: w.Now,
		})
	}
	w.Act(plan())
	w.Act(plan())
	pods := plantest.List[*corev1.Pod](w)
	if len(pods) != 2 || pods[0].OwnerReferences[0].Kind != "ReplicationController" || pods[0].OwnerReferences[0].APIVersion != "v1" {
		t.Fatalf("pods %+v", pods)
	}
	if status := plantest.List[*corev1.ReplicationController](w)[0].Status; status.Replicas != 2 {
		t.Errorf("status %+v", status)
	}
	if result := plan(); len(result.Actions) != 0 {
		t.Errorf("a settled controller is still acted upon: %v", result.Actions)
	}
}
