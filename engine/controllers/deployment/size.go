package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func size(rs *appsv1.ReplicaSet) int32 {
	if rs.Spec.Replicas == nil {
		return 1
	}
	return *rs.Spec.Replicas
}

func total(sets []*appsv1.ReplicaSet, of func(*appsv1.ReplicaSet) int32) int32 {
	var n int32
	for _, rs := range sets {
		n += of(rs)
	}
	return n
}

func available(rs *appsv1.ReplicaSet) int32 { return rs.Status.AvailableReplicas }

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down);
// both zero would be no progress, so one may be unavailable then.
func fenceposts(d *appsv1.Deployment) (surge, unavailable int32) {
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || d.Spec.Strategy.RollingUpdate == nil {
		return 0, 0
	}
	rolling := d.Spec.Strategy.RollingUpdate
	up, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxSurge, intstr.FromInt32(0)), int(replicas(d)), true)
	down, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxUnavailable, intstr.FromInt32(0)), int(replicas(d)), false)
	if up == 0 && down == 0 {
		down = 1
	}
	return int32(up), min(int32(down), replicas(d))
}

func maxSurge(d *appsv1.Deployment) int32 {
	surge, _ := fenceposts(d)
	return surge
}

// minAvailable is how many pods must stay available during a rolling update.
func minAvailable(d *appsv1.Deployment) int32 {
	_, unavailable := fenceposts(d)
	return replicas(d) - unavailable
}

// unobserved reports that the controller of a set has not seen its last change.
func unobserved(rs *appsv1.ReplicaSet) bool { return rs.Status.ObservedGeneration < rs.Generation }
