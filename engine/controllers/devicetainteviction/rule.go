package devicetainteviction

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// statusPeriod is the shortest time between two changes of a rule's status.
const statusPeriod = 10 * time.Second

// RuleObserved is the snapshot of one rule and everything it may select.
type RuleObserved struct {
	Devices
	Rule *resourcev1.DeviceTaintRule
	Pods []*corev1.Pod
	// Claims that are allocated.
	Claims []*resourcev1.ResourceClaim
	// Evicted is how many pods this server has evicted for the rule.
	Evicted int
	Now     time.Time
}

// PlanRule keeps the rule's EvictionInProgress condition.
func PlanRule(o RuleObserved) reconcile.Result {
	var result reconcile.Result
	var before metav1.Condition
	at := slices.IndexFunc(o.Rule.Status.Conditions, func(c metav1.Condition) bool { return c.Type == resourcev1.DeviceTaintConditionEvictionInProgress })
	if at >= 0 {
		before = o.Rule.Status.Conditions[at]
		if since := o.Now.Sub(before.LastTransitionTime.Time); before.ObservedGeneration == o.Rule.Generation && since < statusPeriod {
			result.RequeueIn(statusPeriod - since)
			return result
		}
		if o.Rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNone && before.ObservedGeneration == o.Rule.Generation {
			return result // a forecast is made once
		}
	}
	next := o.condition()
	next.LastTransitionTime = before.LastTransitionTime
	if next == before {
		return result
	}
	next.LastTransitionTime = metav1.NewTime(o.Now)
	updated := o.Rule.DeepCopy()
	if at >= 0 {
		updated.Status.Conditions[at] = next
	} else {
		updated.Status.Conditions = append(updated.Status.Conditions, next)
	}
	result.Add(reconcile.UpdateStatus{Object: updated})
	return result
}

func (o *RuleObserved) condition() metav1.Condition {
	effect := o.Rule.Spec.Taint.Effect
	out := metav1.Condition{
		Type: resourcev1.DeviceTaintConditionEvictionInProgress, Status: metav1.ConditionFalse,
		ObservedGeneration: o.Rule.Generation,
	}
	switch effect {
	case resourcev1.DeviceTaintEffectNoExecute:
		pods, namespaces := o.pending(o.Rule)
		switch {
		case pods > 0:
			out.Status, out.Reason = metav1.ConditionTrue, "PodsPendingEviction"
			out.Message = many(pods, "pod needs", "pods need") + " to be evicted in " + many(namespaces, "namespace", "different namespaces") + "."
		case o.Evicted > 0:
			out.Reason = "Completed"
		default:
			out.Reason = "NotStarted"
		}
	case resourcev1.DeviceTaintEffectNone:
		out.Reason, out.Message = "NoEffect", o.forecast()
	default:
		out.Reason, out.Message = "OtherEffect", "Eviction only happens for the NoExecute effect."
	}
	if o.Evicted > 0 {
		if out.Message != "" {
			out.Message += " "
		}
		out.Message += many(o.Evicted, "pod", "pods") + " evicted since starting the controller."
	}
	return out
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// forecast says what the rule would do if it evicted.
func (o *RuleObserved) forecast() string {
	evicting := o.Rule.DeepCopy()
	evicting.Spec.Taint.Effect = resourcev1.DeviceTaintEffectNoExecute
	published, allocated := 0, 0
	for _, slice := range o.Slices {
		for i := range slice.Spec.Devices {
			if selects(o.Rule, slice.Spec.Driver, slice.Spec.Pool.Name, slice.Spec.Devices[i].Name) {
				published++
			}
		}
	}
	for _, claim := range o.Claims {
		for _, device := range claim.Status.Allocation.Devices.Results {
			if selects(o.Rule, device.Driver, device.Pool, device.Device) {
				allocated++
			}
		}
	}
	pods, namespaces := o.pending(evicting)
	return many(published, "published device", "published devices") + " selected. " +
		many(allocated, "allocated device", "allocated devices") + " selected. " +
		many(pods, "pod", "pods") + " would be evicted in " + many(namespaces, "namespace", "different namespaces") +
		" if the effect was NoExecute. This information will not be updated again. Recreate the DeviceTaintRule to trigger an update."
}

// pending counts the pods that have to go because of the rule, and their namespaces.
func (o *RuleObserved) pending(rule *resourcev1.DeviceTaintRule) (pods, namespaces int) {
	seen := map[string]bool{}
	for _, pod := range o.Pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		due, ok := Due(Observed{Devices: Devices{Slices: o.Slices, Rules: []*resourcev1.DeviceTaintRule{rule}}, Pod: pod, Claims: o.claimsIn(pod.Namespace)})
		if ok && slices.Contains(due.Rules, rule.UID) {
			pods++
			seen[pod.Namespace] = true
		}
	}
	return pods, len(seen)
}

func (o *RuleObserved) claimsIn(namespace string) []*resourcev1.ResourceClaim {
	var out []*resourcev1.ResourceClaim
	for _, claim := range o.Claims {
		if claim.Namespace == namespace {
			out = append(out, claim)
		}
	}
	return out
}
