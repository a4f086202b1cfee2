// Package nodelifecycle watches over nodes: when one stops renewing its lease, its
// conditions become Unknown and its pods not ready; taints follow the conditions,
// so that the scheduler and the taint evictor act on them.
package nodelifecycle

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Grace is how long a node may be silent; StartupGrace how long a new one that
// never posted a status.
const (
	Grace        = 50 * time.Second
	StartupGrace = 60 * time.Second
)

// Observed is the snapshot of one node.
type Observed struct {
	Node *corev1.Node
	// LastSeen is when its lease or status last changed, by this server's clock.
	LastSeen time.Time
	Pods     []*corev1.Pod
	// New: this server has not seen the node before.
	New bool
	// Turn answers whether the node may be emptied, if NeedsTurn says it should be.
	Turn Turn
	// AllDisrupted: no node at all answers, so none is to be emptied.
	AllDisrupted bool
	Now          time.Time
}

// Plan decides conditions and taints of one node. Status comes before taints, so
// that a taint always has its condition to explain it.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Node.DeletionTimestamp != nil {
		return result
	}
	if o.New {
		result.Add(reconcile.Event{About: o.Node, Type: corev1.EventTypeNormal, Reason: "RegisteredNode",
			Message: fmt.Sprintf("Registered Node %v in Controller", o.Node.Name)})
	}
	if silence := o.Now.Sub(o.LastSeen); silence < grace(o.Node) {
		result.RequeueIn(grace(o.Node) - silence)
	} else if updated, changed := silent(o); changed {
		result.Add(reconcile.UpdateStatus{Object: updated})
		if before := ready(o.Node); before == nil || before.Status == corev1.ConditionTrue {
			result.Add(reconcile.Event{About: o.Node, Type: corev1.EventTypeNormal, Reason: "NodeNotReady",
				Message: fmt.Sprintf("Node %s status is now: NodeNotReady", o.Node.Name)})
		}
		return result // the next plan sees the conditions and sets the taints
	}
	if NeedsTurn(o.Node) && o.Turn.Wait > 0 {
		result.RequeueIn(o.Turn.Wait)
	}
	updated := o.Node.DeepCopy()
	updated.Spec.Taints = wantedTaints(o)
	if relabel(updated) || !sameTaints(updated.Spec.Taints, o.Node.Spec.Taints) {
		result.Add(reconcile.Update{Object: updated})
	}
	if c := ready(o.Node); c != nil && c.Status != corev1.ConditionTrue {
		markPods(&result, o)
	}
	return result
}

// NeedsTurn reports that a node's pods should be evicted and are not yet.
func NeedsTurn(node *corev1.Node) bool {
	c := ready(node)
	return c != nil && c.Status != corev1.ConditionTrue && !slices.ContainsFunc(node.Spec.Taints, evicts)
}

// evicts tells the taints that empty a node because it does not answer.
func evicts(t corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoExecute && (t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable)
}

// copiedLabels are older names of labels, which follow the newer ones.
var copiedLabels = map[string]string{corev1.LabelOSStable: "beta.kubernetes.io/os", corev1.LabelArchStable: "beta.kubernetes.io/arch"}

func relabel(node *corev1.Node) (changed bool) {
	for from, to := range copiedLabels {
		if value, ok := node.Labels[from]; ok && node.Labels[to] != value {
			node.Labels[to] = value
			changed = true
		}
	}
	return changed
}

func grace(node *corev1.Node) time.Duration {
	if ready(node) == nil {
		return StartupGrace
	}
	return Grace
}

func ready(node *corev1.Node) *corev1.NodeCondition { return condition(node, corev1.NodeReady) }

func condition(node *corev1.Node, kind corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == kind {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// silent sets the conditions a kubelet posts to Unknown.
func silent(o Observed) (*corev1.Node, bool) {
	updated := o.Node.DeepCopy()
	changed := false
	now := metav1.NewTime(o.Now)
	for _, kind := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		c := condition(updated, kind)
		switch {
		case c == nil:
			updated.Status.Conditions = append(updated.Status.Conditions, corev1.NodeCondition{
				Type: kind, Status: corev1.ConditionUnknown, Reason: "NodeStatusNeverUpdated", Message: "Kubelet never posted node status.",
				LastHeartbeatTime: o.Node.CreationTimestamp, LastTransitionTime: now,
			})
			changed = true
		case c.Status != corev1.ConditionUnknown:
			c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
			c.LastTransitionTime = now
			changed = true
		}
	}
	return updated, changed
}

// markPods takes the pods of a node that is not ready out of service.
func markPods(result *reconcile.Result, o Observed) {
	var batch reconcile.Batch
	for _, pod := range o.Pods {
		c := podset.Condition(pod, corev1.PodReady)
		if c == nil || c.Status != corev1.ConditionTrue {
			continue
		}
		updated := pod.DeepCopy()
		c = podset.Condition(updated, corev1.PodReady)
		c.Status, c.LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(o.Now)
		batch = append(batch, reconcile.UpdateStatus{Object: updated})
		result.Add(reconcile.Event{About: pod, Type: corev1.EventTypeWarning, Reason: "NodeNotReady", Message: "Node is not ready"})
	}
	if len(batch) > 0 {
		result.Add(batch)
	}
}

// conditionTaints are the NoSchedule taints by condition and its status.
var conditionTaints = []struct {
	kind   corev1.NodeConditionType
	status corev1.ConditionStatus
	taint  string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// managed are the taint keys this controller owns.
var managed = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure,
	corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable, corev1.TaintNodeUnschedulable,
}

// wantedTaints keeps the taints of others and those of ours that still apply
// (with the time they were added), and adds what the conditions ask for. A node
// that never reported keeps the taints it registered with.
func wantedTaints(o Observed) []corev1.Taint {
	node := o.Node
	evict := !o.AllDisrupted && (!NeedsTurn(node) || o.Turn.Granted)
	var ours []corev1.Taint
	for _, ct := range conditionTaints {
		c := condition(node, ct.kind)
		if c == nil || c.Status != ct.status {
			continue
		}
		ours = append(ours, corev1.Taint{Key: ct.taint, Effect: corev1.TaintEffectNoSchedule})
		if ct.kind == corev1.NodeReady && evict {
			added := metav1.NewTime(o.Now)
			ours = append(ours, corev1.Taint{Key: ct.taint, Effect: corev1.TaintEffectNoExecute, TimeAdded: &added})
		}
	}
	if node.Spec.Unschedulable {
		ours = append(ours, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	var out []corev1.Taint
	for _, taint := range node.Spec.Taints {
		i := slices.IndexFunc(ours, func(t corev1.Taint) bool { return t.MatchTaint(&taint) })
		switch {
		case i >= 0:
			ours = slices.Delete(ours, i, i+1)
			out = append(out, taint)
		case !slices.Contains(managed, taint.Key) || ready(node) == nil:
			out = append(out, taint)
		}
	}
	return append(out, ours...)
}

func sameTaints(a, b []corev1.Taint) bool {
	return slices.EqualFunc(a, b, func(x, y corev1.Taint) bool { return x.MatchTaint(&y) && x.Value == y.Value })
}
