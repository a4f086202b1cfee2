// Package podset holds what all controllers that run sets of pods decide alike:
// when a pod counts as active, ready and available, how one is made from a
// template, and which goes first when there are too many. Pure functions only.
package podset

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is the resource of pods.
var Resource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// IsFinished reports that a pod has run to its end.
func IsFinished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// IsActive reports that a pod counts towards the replicas wanted.
func IsActive(pod *corev1.Pod) bool {
	return !IsFinished(pod) && pod.DeletionTimestamp == nil
}

// IsTerminating reports that a pod is on its way out and not finished.
func IsTerminating(pod *corev1.Pod) bool {
	return !IsFinished(pod) && pod.DeletionTimestamp != nil
}

// Active selects the active pods.
func Active(pods []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, pod := range pods {
		if IsActive(pod) {
			out = append(out, pod)
		}
	}
	return out
}

// Condition returns a condition of a pod, nil if it has none of that type.
func Condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// IsReady reports that a pod is ready.
func IsReady(pod *corev1.Pod) bool {
	c := Condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// Available reports that a pod has been ready for minReadySeconds; if it has not
// yet but is ready, wait is how long it lacks.
func Available(pod *corev1.Pod, minReadySeconds int32, now time.Time) (available bool, wait time.Duration) {
	c := Condition(pod, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionTrue {
		return false, 0
	}
	if minReadySeconds == 0 {
		return true, 0
	}
	if c.LastTransitionTime.IsZero() {
		return false, 0
	}
	wait = c.LastTransitionTime.Add(time.Duration(minReadySeconds) * time.Second).Sub(now)
	return wait <= 0, max(wait, 0)
}

// FromTemplate makes a pod of a template, controlled by owner, to be named by the
// server after the owner.
func FromTemplate(template *corev1.PodTemplateSpec, owner metav1.Object, kind schema.GroupVersionKind) *corev1.Pod {
	template = template.DeepCopy()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    owner.GetNamespace(),
			GenerateName: owner.GetName() + "-",
			Labels:       template.Labels,
			Annotations:  template.Annotations,
			Finalizers:   template.Finalizers,
		},
		Spec: template.Spec,
	}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)}
	return pod
}
