package endpointslice

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	endpointutil "k8s.io/endpointslice/util"

	"github.com/pintle-io/pintle/engine/controllers/podset"
)

// shows reports that a change of a pod shows in endpoints.
func shows(old, pod *corev1.Pod) bool {
	return old.UID != pod.UID ||
		endpointutil.IsPodReady(old) != endpointutil.IsPodReady(pod) ||
		podset.IsFinished(old) != podset.IsFinished(pod) ||
		(old.DeletionTimestamp == nil) != (pod.DeletionTimestamp == nil) ||
		old.Spec.NodeName != pod.Spec.NodeName ||
		old.Spec.Hostname != pod.Spec.Hostname ||
		!slices.Equal(old.Status.PodIPs, pod.Status.PodIPs) ||
		!maps.Equal(old.Labels, pod.Labels)
}
