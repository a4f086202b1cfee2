package statefulset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/history"
	"github.com/pintle-io/pintle/engine/controllers/podset"
)

// ordinal is a pod's place in the set, from its name.
func ordinal(set *appsv1.StatefulSet, pod *corev1.Pod) (int, bool) {
	return ordinalOf(set, pod.Name)
}

func ordinalOf(set *appsv1.StatefulSet, pod string) (int, bool) {
	suffix, ok := strings.CutPrefix(pod, set.Name+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(suffix)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == suffix
}

// newPod makes the pod of one ordinal from a revision's template.
func newPod(set *appsv1.StatefulSet, revision *appsv1.ControllerRevision, n int) *corev1.Pod {
	template := history.Template(revision)
	if template == nil {
		template = &set.Spec.Template
	}
	pod := podset.FromTemplate(template, set, Kind)
	pod.GenerateName = set.Name + "-"
	pod.Name = fmt.Sprintf("%s-%d", set.Name, n)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[appsv1.StatefulSetPodNameLabel] = pod.Name
	pod.Labels[appsv1.PodIndexLabel] = strconv.Itoa(n)
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = revision.Name
	pod.Spec.Hostname = pod.Name
	pod.Spec.Subdomain = set.Spec.ServiceName
	for i := range set.Spec.VolumeClaimTemplates {
		name := set.Spec.VolumeClaimTemplates[i].Name
		pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, i, n)},
		}})
	}
	return pod
}

func claimName(set *appsv1.StatefulSet, template, n int) string {
	return fmt.Sprintf("%s-%s-%d", set.Spec.VolumeClaimTemplates[template].Name, set.Name, n)
}

// newClaim makes the volume claim of one template and ordinal, without owner: data
// outlives the set, unless it asks for the contrary.
func newClaim(set *appsv1.StatefulSet, template, n int) *corev1.PersistentVolumeClaim {
	claim := set.Spec.VolumeClaimTemplates[template].DeepCopy()
	claim.Name, claim.Namespace = claimName(set, template, n), set.Namespace
	labels := maps.Clone(set.Spec.Selector.MatchLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, claim.Labels)
	claim.Labels = labels
	claim.Status = corev1.PersistentVolumeClaimStatus{}
	return claim
}
