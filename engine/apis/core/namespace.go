package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

func namespaces() apis.Resource {
	rules := apis.TypedRules[*corev1.Namespace]{
		Default:                defaultNamespace,
		PrepareForCreate:       prepareNamespaceCreate,
		PrepareForUpdate:       prepareNamespaceUpdate,
		PrepareForStatusUpdate: prepareNamespaceStatusUpdate,
		Validate:               validateNamespace,
		ValidateUpdate:         validateNamespaceUpdate,
		ValidateStatusUpdate:   validateNamespaceStatusUpdate,
	}.Rules()
	return apis.Resource{
		GVK: kind("Namespace"), Plural: "namespaces", Singular: "namespace", ShortNames: []string{"ns"},
		New:            func() runtime.Object { return &corev1.Namespace{} },
		NewList:        func() runtime.Object { return &corev1.NamespaceList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Status", "Active, or Terminating.", func(n *corev1.Namespace) string { return string(n.Status.Phase) }),
			apis.AgeColumn(),
		},
		HasStatus: true,
		Fields: func(obj runtime.Object) fields.Set {
			n := obj.(*corev1.Namespace)
			return fields.Set{"name": n.Name, "status.phase": string(n.Status.Phase)}
		},
	}
}

// defaultNamespace also keeps the label that lets selectors name a namespace.
func defaultNamespace(n *corev1.Namespace) {
	setDefault(&n.Status.Phase, corev1.NamespaceActive)
	if n.Name == "" {
		return
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
}
