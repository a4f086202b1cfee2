package podset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// DeletionCost is the annotation by which users say which pod may go first.
const DeletionCost = "controller.kubernetes.io/pod-deletion-cost"

// DeletionOrder sorts pods so that the first is deleted first: unassigned, then
// pending, then not ready, then cheap to delete, then on a node with many pods
// of related (all active pods of sibling sets), then ready for a shorter time
// (by order of magnitude), then restarted more, then younger.
func DeletionOrder(pods, related []*corev1.Pod, now time.Time) []*corev1.Pod {
	perNode := map[string]int{}
	for _, pod := range related {
		if IsActive(pod) {
			perNode[pod.Spec.NodeName]++
		}
	}
	out := slices.Clone(pods)
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(
			firstTrue(a.Spec.NodeName == "", b.Spec.NodeName == ""),
			cmp.Compare(phaseOrder(a), phaseOrder(b)),
			firstTrue(!IsReady(a), !IsReady(b)),
			cmp.Compare(deletionCost(a), deletionCost(b)),
			cmp.Compare(perNode[b.Spec.NodeName], perNode[a.Spec.NodeName]),
			youngerByMagnitude(readySince(a), readySince(b), now),
			cmp.Compare(maxRestarts(b), maxRestarts(a)),
			youngerByMagnitude(a.CreationTimestamp.Time, b.CreationTimestamp.Time, now),
			cmp.Compare(a.UID, b.UID),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return out
}

func firstTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func phaseOrder(pod *corev1.Pod) int {
	switch pod.Status.Phase {
	case corev1.PodUnknown:
		return 1
	case corev1.PodRunning:
		return 2
	}
	return 0
}

func deletionCost(pod *corev1.Pod) int64 {
	cost, err := strconv.ParseInt(pod.Annotations[DeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return cost
}

func readySince(pod *corev1.Pod) time.Time {
	if c := Condition(pod, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

func maxRestarts(pod *corev1.Pod) int32 {
	var n int32
	for i := range pod.Status.ContainerStatuses {
		n = max(n, pod.Status.ContainerStatuses[i].RestartCount)
	}
	return n
}

// youngerByMagnitude puts the younger time first; ages of the same power of two
// are equal. An unset time counts as young.
func youngerByMagnitude(a, b, now time.Time) int {
	if a.IsZero() || b.IsZero() {
		return firstTrue(a.IsZero(), b.IsZero())
	}
	return cmp.Compare(magnitude(now.Sub(a)), magnitude(now.Sub(b)))
}

func magnitude(age time.Duration) int {
	if age <= 0 {
		return -1
	}
	return int(math.Log2(float64(age)))
}
