// Package namespace empties namespaces that are being deleted, of built-in and
// custom resources alike, reports what is left, and lets them go when nothing is.
// Pods go first: what they run may need the rest until it has stopped.
package namespace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/reconcile"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// Content is what is left of one resource in a namespace.
type Content struct {
	Resource schema.GroupVersionResource
	Count    int
	// Living counts those not marked for deletion yet.
	Living int
	// Finalizers counts the objects that each finalizer holds.
	Finalizers map[string]int
}

// Observed is the snapshot of one namespace.
type Observed struct {
	Namespace *corev1.Namespace
	// Left holds the resources that still have objects.
	Left []Content
	// DiscoveryErr and ListErr report what could not be looked at.
	DiscoveryErr, ListErr error
	Now                   time.Time
}

// recheck is how soon a namespace that is not empty yet is looked at again.
const recheck = 250 * time.Millisecond

// Plan decides the next step of a deletion.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Namespace.DeletionTimestamp == nil {
		return result
	}
	if !slices.Contains(o.Namespace.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return result
	}
	left := slices.Clone(o.Left)
	slices.SortFunc(left, func(a, b Content) int { return cmp.Compare(a.Resource.String(), b.Resource.String()) })
	status(&result, o, left)
	if len(left) == 0 && o.DiscoveryErr == nil && o.ListErr == nil {
		if len(result.Actions) > 0 {
			return result // the next plan lets go of the object this one changes
		}
		finalized := o.Namespace.DeepCopy()
		finalized.Spec.Finalizers = slices.DeleteFunc(finalized.Spec.Finalizers, func(f corev1.FinalizerName) bool {
			return f == corev1.FinalizerKubernetes
		})
		result.Add(reconcile.Update{Object: finalized, Subresource: "finalize"})
		return result
	}
	for _, content := range next(left) {
		if content.Living > 0 {
			result.Add(reconcile.DeleteCollection{Resource: content.Resource, Namespace: o.Namespace.Name})
		}
	}
	result.RequeueIn(recheck)
	return result
}

// next are the contents whose turn it is: pods before all else.
func next(left []Content) []Content {
	for _, content := range left {
		if content.Resource == pods {
			return []Content{content}
		}
	}
	return left
}

func status(result *reconcile.Result, o Observed, left []Content) {
	updated := o.Namespace.DeepCopy()
	updated.Status.Phase = corev1.NamespaceTerminating
	for _, c := range conditions(o, left) {
		setCondition(&updated.Status, c, o.Now)
	}
	if !apiequality.Semantic.DeepEqual(updated.Status, o.Namespace.Status) {
		result.Add(reconcile.UpdateStatus{Object: updated})
	}
}

func conditions(o Observed, left []Content) []corev1.NamespaceCondition {
	out := []corev1.NamespaceCondition{
		{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse, Reason: "ResourcesDiscovered", Message: "All resources successfully discovered"},
		{Type: corev1.NamespaceDeletionGVParsingFailure, Status: corev1.ConditionFalse, Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed"},
		{Type: corev1.NamespaceDeletionContentFailure, Status: corev1.ConditionFalse, Reason: "ContentDeleted", Message: "All content successfully deleted, may be waiting on finalization"},
		{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionFalse, Reason: "ContentRemoved", Message: "All content successfully removed"},
		{Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionFalse, Reason: "ContentHasNoFinalizers", Message: "All content-preserving finalizers finished"},
	}
	if o.DiscoveryErr != nil {
		out[0].Status, out[0].Reason, out[0].Message = corev1.ConditionTrue, "DiscoveryFailed", fmt.Sprintf("Discovery failed for some groups: %v", o.DiscoveryErr)
	}
	if o.ListErr != nil {
		out[2].Status, out[2].Reason, out[2].Message = corev1.ConditionTrue, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types: %v", o.ListErr)
	}
	var remaining []string
	held := map[string]int{}
	for _, content := range left {
		remaining = append(remaining, fmt.Sprintf("%s.%s has %d resource instances", content.Resource.Resource, content.Resource.Group, content.Count))
		for f, n := range content.Finalizers {
			held[f] += n
		}
	}
	if len(remaining) > 0 {
		out[3].Status, out[3].Reason, out[3].Message = corev1.ConditionTrue, "SomeResourcesRemain", "Some resources are remaining: "+strings.Join(remaining, ", ")
	}
	if len(held) > 0 {
		var parts []string
		for _, f := range slices.Sorted(maps.Keys(held)) {
			parts = append(parts, fmt.Sprintf("%s in %d resource instances", f, held[f]))
		}
		out[4].Status, out[4].Reason, out[4].Message = corev1.ConditionTrue, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+strings.Join(parts, ", ")
	}
	return out
}

func setCondition(s *corev1.NamespaceStatus, c corev1.NamespaceCondition, now time.Time) {
	c.LastTransitionTime = metav1.NewTime(now)
	for i := range s.Conditions {
		old := &s.Conditions[i]
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		*old = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}
