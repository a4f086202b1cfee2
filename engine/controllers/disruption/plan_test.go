package disruption_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/disruption"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func pods(ready, notReady int) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range ready + notReady {
		status := corev1.ConditionTrue
		if i >= ready {
			status = corev1.ConditionFalse
		}
		out = append(out, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i)},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}},
		})
	}
	return out
}

func TestPlan(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	percent := intstr.FromString
	for name, c := range map[string]struct {
		spec              policyv1.PodDisruptionBudgetSpec
		ready, notReady   int
		scale             int32
		scaleErr          error
		evicted           map[string]metav1.Time
		allowed, expected int32
		reason            string
	}{
		"minAvailable":          {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))}, ready: 3, allowed: 1, expected: 3, reason: "SufficientPods"},
		"minAvailable, too few": {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))}, ready: 2, notReady: 1, expected: 3, reason: "InsufficientPods"},
		"minAvailable percent":  {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(percent("50%"))}, ready: 5, scale: 5, allowed: 2, expected: 5, reason: "SufficientPods"},
		"maxUnavailable":        {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1))}, ready: 3, scale: 4, expected: 4, reason: "InsufficientPods"},
		"evicted just now":      {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))}, ready: 3, evicted: map[string]metav1.Time{"p0": metav1.NewTime(now)}, expected: 3, reason: "InsufficientPods"},
		"evicted long ago":      {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))}, ready: 3, evicted: map[string]metav1.Time{"p0": metav1.NewTime(now.Add(-time.Hour))}, allowed: 1, expected: 3, reason: "SufficientPods"},
		"unknown controller":    {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1))}, ready: 3, scaleErr: errors.New("no scale"), reason: "SyncFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			result := disruption.Plan(disruption.Observed{
				Budget: &policyv1.PodDisruptionBudget{Spec: c.spec, Status: policyv1.PodDisruptionBudgetStatus{DisruptedPods: c.evicted}},
				Pods:   pods(c.ready, c.notReady), Scale: c.scale, ScaleErr: c.scaleErr, Now: now,
			})
			status := result.Actions[len(result.Actions)-1].(reconcile.UpdateStatus).Object.(*policyv1.PodDisruptionBudget).Status
			if status.DisruptionsAllowed != c.allowed || status.ExpectedPods != c.expected || status.Conditions[0].Reason != c.reason {
				t.Errorf("allowed %d, expected %d, %s; want %d, %d, %s", status.DisruptionsAllowed, status.ExpectedPods,
					status.Conditions[0].Reason, c.allowed, c.expected, c.reason)
			}
		})
	}
}
