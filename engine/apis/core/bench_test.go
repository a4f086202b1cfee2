package core

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

// BenchmarkPodCreate is the share of the rules in creating a pod.
func BenchmarkPodCreate(b *testing.B) {
	row, pod := pods(), validPod()
	pod.Spec.Volumes = []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/token"}}
	b.ReportAllocs()
	for b.Loop() {
		if errs := apistest.Create(row, pod.DeepCopy()); len(errs) > 0 {
			b.Fatal(errs.ToAggregate())
		}
	}
}

// BenchmarkPodStatusUpdate is the share of the rules in reporting a status.
func BenchmarkPodStatusUpdate(b *testing.B) {
	row, old := pods(), validPod()
	old.ResourceVersion = "1"
	if errs := apistest.Create(row, old); len(errs) > 0 {
		b.Fatal(errs.ToAggregate())
	}
	b.ReportAllocs()
	for b.Loop() {
		pod := old.DeepCopy()
		pod.Status.Phase = corev1.PodRunning
		if errs := apistest.UpdateStatus(row, pod, old); len(errs) > 0 {
			b.Fatal(errs.ToAggregate())
		}
	}
}
