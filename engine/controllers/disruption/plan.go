// Package disruption keeps the status of PodDisruptionBudgets, from which the
// eviction subresource reads how many pods may go.
package disruption

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// forget is how long an eviction that deleted nothing counts as a disruption.
const forget = 2 * time.Minute

// Observed is the snapshot of one budget.
type Observed struct {
	Budget *policyv1.PodDisruptionBudget
	Pods   []*corev1.Pod // those its selector selects
	// Scale is how many pods their controllers want in all; ScaleErr says why that
	// is not known.
	Scale    int32
	ScaleErr error
	Now      time.Time
}

// Plan computes the status.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	pdb := o.Budget.DeepCopy()
	s := &pdb.Status
	s.ObservedGeneration = pdb.Generation
	expected, desired, err := wanted(o)
	if err != nil {
		s.DisruptionsAllowed = 0
		setCondition(pdb, metav1.ConditionFalse, policyv1.SyncFailedReason, err.Error(), o.Now)
		result.Add(reconcile.Event{About: o.Budget, Type: corev1.EventTypeWarning, Reason: "CalculateExpectedPodCountFailed",
			Message: "Failed to calculate the number of expected pods: " + err.Error()})
		addStatus(&result, o, pdb)
		return result
	}
	disrupted(&result, o, pdb)
	s.ExpectedPods, s.DesiredHealthy = expected, desired
	s.CurrentHealthy = healthy(o, pdb)
	s.DisruptionsAllowed = max(s.CurrentHealthy-desired, 0)
	if expected <= 0 {
		s.DisruptionsAllowed = 0
	}
	if s.DisruptionsAllowed > 0 {
		setCondition(pdb, metav1.ConditionTrue, policyv1.SufficientPodsReason, "", o.Now)
	} else {
		setCondition(pdb, metav1.ConditionFalse, policyv1.InsufficientPodsReason, "", o.Now)
	}
	addStatus(&result, o, pdb)
	return result
}

// wanted is how many pods there should be and how many must stay healthy.
func wanted(o Observed) (expected, desired int32, err error) {
	spec := &o.Budget.Spec
	switch {
	case spec.MaxUnavailable != nil:
		if o.ScaleErr != nil {
			return 0, 0, o.ScaleErr
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(spec.MaxUnavailable, int(o.Scale), true)
		return o.Scale, max(o.Scale-int32(n), 0), err
	case spec.MinAvailable == nil:
		return 0, 0, fmt.Errorf("neither minAvailable nor maxUnavailable is set")
	case spec.MinAvailable.Type == intstr.Int:
		return int32(len(o.Pods)), spec.MinAvailable.IntVal, nil
	default:
		if o.ScaleErr != nil {
			return 0, 0, o.ScaleErr
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(spec.MinAvailable, int(o.Scale), true)
		return o.Scale, int32(n), err
	}
}

// disrupted forgets evictions that are done or came to nothing.
func disrupted(result *reconcile.Result, o Observed, pdb *policyv1.PodDisruptionBudget) {
	for name, at := range pdb.Status.DisruptedPods {
		living := false
		for _, pod := range o.Pods {
			living = living || pod.Name == name && pod.DeletionTimestamp == nil
		}
		wait := at.Add(forget).Sub(o.Now)
		if !living || wait <= 0 {
			delete(pdb.Status.DisruptedPods, name)
			continue
		}
		result.RequeueIn(wait)
	}
}

func healthy(o Observed, pdb *policyv1.PodDisruptionBudget) int32 {
	var n int32
	for _, pod := range o.Pods {
		if _, going := pdb.Status.DisruptedPods[pod.Name]; !going && pod.DeletionTimestamp == nil && podset.IsReady(pod) {
			n++
		}
	}
	return n
}

func setCondition(pdb *policyv1.PodDisruptionBudget, status metav1.ConditionStatus, reason, message string, now time.Time) {
	meta.SetStatusCondition(&pdb.Status.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: pdb.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

func addStatus(result *reconcile.Result, o Observed, pdb *policyv1.PodDisruptionBudget) {
	if !apiequality.Semantic.DeepEqual(pdb.Status, o.Budget.Status) {
		result.Add(reconcile.UpdateStatus{Object: pdb})
	}
}
