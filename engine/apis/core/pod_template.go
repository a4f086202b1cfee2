package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

func podTemplates() apis.Resource {
	rules := apis.TypedRules[*corev1.PodTemplate]{
		Default: func(t *corev1.PodTemplate) { DefaultPodTemplate(&t.Template) },
	}.Rules()
	return apis.Resource{
		GVK: kind("PodTemplate"), Plural: "podtemplates", Singular: "podtemplate", Namespaced: true,
		New:     func() runtime.Object { return &corev1.PodTemplate{} },
		NewList: func() runtime.Object { return &corev1.PodTemplateList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Containers", "Names of each container in the template.", func(t *corev1.PodTemplate) string { return ContainerNames(&t.Template.Spec) }),
			apis.Text("Images", "Images referenced by each container in the template.", func(t *corev1.PodTemplate) string { return ContainerImages(&t.Template.Spec) }),
			apis.Text("Pod Labels", "The labels of the template.", func(t *corev1.PodTemplate) string { return FormatLabels(t.Template.Labels) }),
		},
	}
}
