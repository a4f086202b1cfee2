package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func podCreateWarnings(_ context.Context, pod *corev1.Pod) []string {
	var out []string
	if bad := utilvalidation.IsDNS1123Label(pod.Name); pod.Name != "" && len(bad) > 0 {
		out = append(out, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", bad))
	}
	return append(out, podWarnings(nil, &pod.ObjectMeta, &pod.Spec)...)
}

// PodTemplateWarnings are those of a template at the given path, if it differs
// from the old one (nil on create).
func PodTemplateWarnings(at *field.Path, t, old *corev1.PodTemplateSpec) []string {
	if old != nil && equality.Semantic.DeepEqual(t, old) {
		return nil
	}
	return podWarnings(at, &t.ObjectMeta, &t.Spec)
}

// deprecatedNodeLabels and what to use instead.
var deprecatedNodeLabels = map[string]string{
	"beta.kubernetes.io/arch":                  `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                    `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region": `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":   `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":         `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
}

func podWarnings(at *field.Path, m *metav1.ObjectMeta, spec *corev1.PodSpec) []string {
	var out []string
	warn := func(at *field.Path, text string) { out = append(out, fmt.Sprintf("%s: %s", at, text)) }
	specAt := at.Child("spec")
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if text, ok := deprecatedNodeLabels[key]; ok {
			warn(specAt.Child("nodeSelector").Key(key), text)
		}
	}
	out = append(out, selectorWarnings(specAt, spec)...)
	for i, ref := range spec.ImagePullSecrets {
		if ref.Name == "" {
			warn(specAt.Child("imagePullSecrets").Index(i).Child("name"), fmt.Sprintf("invalid empty name %q", ref.Name))
		}
	}
	for i := range spec.Volumes {
		out = append(out, volumeWarnings(&spec.Volumes[i].VolumeSource, specAt.Child("volumes").Index(i))...)
	}
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		warn(specAt.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	for i := range spec.InitContainers {
		out = append(out, containerWarnings(&spec.InitContainers[i], specAt.Child("initContainers").Index(i))...)
	}
	for i := range spec.Containers {
		out = append(out, containerWarnings(&spec.Containers[i], specAt.Child("containers").Index(i))...)
	}
	return append(out, annotationWarnings(at, m)...)
}

func selectorWarnings(at *field.Path, spec *corev1.PodSpec) []string {
	var out []string
	const text = "a null labelSelector results in matching no pod"
	for i, c := range spec.TopologySpreadConstraints {
		cAt := at.Child("topologySpreadConstraints").Index(i)
		if t, ok := deprecatedNodeLabels[c.TopologyKey]; ok {
			out = append(out, fmt.Sprintf("%s: %s is %s", cAt.Child("topologyKey"), c.TopologyKey, t))
		}
		if c.LabelSelector == nil {
			out = append(out, fmt.Sprintf("%s: %s", cAt.Child("labelSelector"), text))
		}
	}
	terms := func(at *field.Path, list []corev1.PodAffinityTerm) {
		for i := range list {
			if list[i].LabelSelector == nil {
				out = append(out, fmt.Sprintf("%s: %s", at.Child(required).Index(i).Child("labelSelector"), text))
			}
		}
	}
	if a := spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			terms(at.Child("affinity", "podAffinity"), a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		}
		if a.PodAntiAffinity != nil {
			terms(at.Child("affinity", "podAntiAffinity"), a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		}
	}
	return out
}

// volumeWarnings names the sources that no longer work, or will stop working.
func volumeWarnings(src *corev1.VolumeSource, at *field.Path) []string {
	for _, old := range []struct {
		name, text string
		used       bool
	}{
		{"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+", src.PhotonPersistentDisk != nil},
		{"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+", src.GitRepo != nil},
		{"scaleIO", "deprecated in v1.16, non-functional in v1.22+", src.ScaleIO != nil},
		{"flocker", "deprecated in v1.22, non-functional in v1.25+", src.Flocker != nil},
		{"storageOS", "deprecated in v1.22, non-functional in v1.25+", src.StorageOS != nil},
		{"quobyte", "deprecated in v1.22, non-functional in v1.25+", src.Quobyte != nil},
		{"glusterfs", "deprecated in v1.25, non-functional in v1.26+", src.Glusterfs != nil},
		{"cephfs", "deprecated in v1.28, non-functional in v1.31+", src.CephFS != nil},
		{"rbd", "deprecated in v1.28, non-functional in v1.31+", src.RBD != nil},
	} {
		if old.used {
			return []string{fmt.Sprintf("%s: %s", at.Child(old.name), old.text)}
		}
	}
	return nil
}

func containerWarnings(c *corev1.Container, at *field.Path) []string {
	var out []string
	for _, list := range []struct {
		name string
		of   corev1.ResourceList
	}{{"limits", c.Resources.Limits}, {"requests", c.Resources.Requests}} {
		if q, ok := list.of[corev1.ResourceMemory]; ok && q.MilliValue()%1000 != 0 {
			out = append(out, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", at.Child("resources", list.name).Key("memory"), q.String()))
		}
	}
	seen := map[string]bool{}
	for i := range c.Env {
		if name := c.Env[i].Name; seen[name] {
			out = append(out, fmt.Sprintf("%s: hides previous definition of %q, which may be dropped when using apply", at.Child("env").Index(i), name))
		} else {
			seen[name] = true
		}
	}
	type port struct {
		number, host int32
		hostIP       string
		protocol     corev1.Protocol
	}
	ports := map[port]int{}
	for i, p := range c.Ports {
		key := port{p.ContainerPort, p.HostPort, p.HostIP, p.Protocol}
		if first, dup := ports[key]; dup {
			out = append(out, fmt.Sprintf("%s: duplicate port definition with %s", at.Child("ports").Index(i), at.Child("ports").Index(first)))
		} else {
			ports[key] = i
		}
	}
	return out
}

func annotationWarnings(at *field.Path, m *metav1.ObjectMeta) []string {
	annotations := at.Child("metadata", "annotations")
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		switch {
		case key == corev1.SeccompPodAnnotationKey, strings.HasPrefix(key, corev1.SeccompContainerAnnotationKeyPrefix):
			out = append(out, fmt.Sprintf(`%s: non-functional in v1.27+; use the "seccompProfile" field instead`, annotations.Key(key)))
		case strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix):
			out = append(out, fmt.Sprintf(`%s: deprecated since v1.30; use the "appArmorProfile" field instead`, annotations.Key(key)))
		}
	}
	return out
}
