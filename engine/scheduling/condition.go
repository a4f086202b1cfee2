package scheduling

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// writeCondition sets PodScheduled=False unless it says the same already.
func (s *Scheduler) writeCondition(ctx context.Context, r report) error {
	if r.node == "" && said(r.pod, r.message) {
		return nil
	}
	_, err := s.config.Client.UpdateFunc(ctx, podsResource, r.pod.Namespace, r.pod.Name, "status", func(obj runtime.Object) error {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.UID != r.pod.UID || pod.Spec.NodeName != "" {
			return nil
		}
		if r.node != "" {
			pod.Status.NominatedNodeName = r.node
		}
		setCondition(&pod.Status, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: r.message, LastTransitionTime: metav1.Now(),
		})
		return nil
	})
	return err
}

func said(pod *corev1.Pod, message string) bool {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodScheduled {
			return c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable && c.Message == message
		}
	}
	return false
}

// setCondition sets a condition; its transition time stays if the status does.
func setCondition(status *corev1.PodStatus, want corev1.PodCondition) {
	for i := range status.Conditions {
		c := &status.Conditions[i]
		if c.Type != want.Type {
			continue
		}
		if c.Status == want.Status {
			want.LastTransitionTime = c.LastTransitionTime
		}
		want.ObservedGeneration = c.ObservedGeneration
		*c = want
		return
	}
	status.Conditions = append(status.Conditions, want)
}
