package policy

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestPodDisruptionBudget(t *testing.T) {
	base := func() *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "default", ResourceVersion: "1"},
			Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1))},
		}
	}
	apistest.RunCreate(t, podDisruptionBudgets(), base, map[string]apistest.Case[*policyv1.PodDisruptionBudget]{
		"both":     {Change: func(b *policyv1.PodDisruptionBudget) { b.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(1)) }, Want: []string{"spec: Invalid value"}},
		"negative": {Change: func(b *policyv1.PodDisruptionBudget) { b.Spec.MinAvailable.IntVal = -1 }, Want: []string{"spec.minAvailable: Invalid value"}},
		"percent":  {Change: func(b *policyv1.PodDisruptionBudget) { b.Spec.MinAvailable = ptr.To(intstr.FromString("101%")) }, Want: []string{"spec.minAvailable: Invalid value"}},
		"policy": {Change: func(b *policyv1.PodDisruptionBudget) {
			b.Spec.UnhealthyPodEvictionPolicy = ptr.To(policyv1.UnhealthyPodEvictionPolicyType("X"))
		}, Want: []string{"spec.unhealthyPodEvictionPolicy: Unsupported value"}},
	})
	apistest.RunStatus(t, podDisruptionBudgets(), base, map[string]apistest.Case[*policyv1.PodDisruptionBudget]{
		"negative": {Change: func(b *policyv1.PodDisruptionBudget) { b.Status.ExpectedPods = -1 }, Want: []string{"status.expectedPods: Invalid value"}},
	})
	if cells := apistest.Cells(podDisruptionBudgets(), base()); cells["Min Available"] != "1" || cells["Max Unavailable"] != "N/A" {
		t.Errorf("cells: %v", cells)
	}
}
