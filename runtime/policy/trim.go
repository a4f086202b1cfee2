package policy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trim is an informer's transform: of a pod it keeps what policies need, so that a
// node holds little of the pods of others. It leaves other kinds alone.
func Trim(obj any) (any, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: p.Labels},
		Spec:       corev1.PodSpec{NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork, InitContainers: onlyPorts(p.Spec.InitContainers), Containers: onlyPorts(p.Spec.Containers)},
		Status:     corev1.PodStatus{Phase: p.Status.Phase, PodIPs: p.Status.PodIPs},
	}
	return out, nil
}

func onlyPorts(list []corev1.Container) (out []corev1.Container) {
	for _, c := range list {
		if len(c.Ports) > 0 {
			out = append(out, corev1.Container{Ports: c.Ports})
		}
	}
	return out
}
