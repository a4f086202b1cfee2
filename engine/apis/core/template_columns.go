package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// ContainerNames lists the containers of a template, for a table cell.
func ContainerNames(spec *corev1.PodSpec) string {
	return joinContainers(spec, func(c *corev1.Container) string { return c.Name })
}

// ContainerImages lists the images of a template, for a table cell.
func ContainerImages(spec *corev1.PodSpec) string {
	return joinContainers(spec, func(c *corev1.Container) string { return c.Image })
}

func joinContainers(spec *corev1.PodSpec, part func(*corev1.Container) string) string {
	parts := make([]string, len(spec.Containers))
	for i := range spec.Containers {
		parts[i] = part(&spec.Containers[i])
	}
	return strings.Join(parts, ",")
}

// FormatSelector writes a label selector as kubectl shows it.
func FormatSelector(selector *metav1.LabelSelector) string {
	return metav1.FormatLabelSelector(selector)
}

// FormatLabels writes a set of labels, or <none>.
func FormatLabels(set map[string]string) string { return labels.FormatLabels(set) }
