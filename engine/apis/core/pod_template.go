package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func podTemplates() apis.Resource {
	create, update := apis.CountGenerations(func(t, old *corev1.PodTemplate) bool {
		return !equality.Semantic.DeepEqual(t.Template, old.Template)
	})
	rules := apis.TypedRules[*corev1.PodTemplate]{
		Default:          func(t *corev1.PodTemplate) { DefaultPodTemplate(&t.Template) },
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, t *corev1.PodTemplate) field.ErrorList {
			errs := apis.ValidateMeta(&t.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			return append(errs, ValidatePodTemplate(&t.Template, field.NewPath("template"))...)
		},
		ValidateUpdate: func(_ context.Context, t, old *corev1.PodTemplate) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&t.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, ValidatePodTemplate(&t.Template, field.NewPath("template"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("PodTemplate"), Plural: "podtemplates", Singular: "podtemplate", Namespaced: true,
		New:            func() runtime.Object { return &corev1.PodTemplate{} },
		NewList:        func() runtime.Object { return &corev1.PodTemplateList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Containers", "Names of each container in the template.", func(t *corev1.PodTemplate) string { return ContainerNames(&t.Template.Spec) }),
			apis.Text("Images", "Images referenced by each container in the template.", func(t *corev1.PodTemplate) string { return ContainerImages(&t.Template.Spec) }),
			apis.Text("Pod Labels", "The labels of the template.", func(t *corev1.PodTemplate) string { return FormatLabels(t.Template.Labels) }),
		},
	}
}
