package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func configMaps() apis.Resource {
	rules := apis.TypedRules[*corev1.ConfigMap]{
		Validate:       func(_ context.Context, c *corev1.ConfigMap) field.ErrorList { return validateConfigMap(c) },
		ValidateUpdate: validateConfigMapUpdate,
	}.Rules()
	return apis.Resource{
		GVK: kind("ConfigMap"), Plural: "configmaps", Singular: "configmap", ShortNames: []string{"cm"}, Namespaced: true,
		New:     func() runtime.Object { return &corev1.ConfigMap{} },
		NewList: func() runtime.Object { return &corev1.ConfigMapList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Data", "The number of keys.", func(c *corev1.ConfigMap) int64 { return int64(len(c.Data) + len(c.BinaryData)) }).AsText(),
			apis.AgeColumn(),
		},
	}
}
