package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

func serviceAccounts() apis.Resource {
	rules := apis.TypedRules[*corev1.ServiceAccount]{}.Rules()
	return apis.Resource{
		GVK: kind("ServiceAccount"), Plural: "serviceaccounts", Singular: "serviceaccount", ShortNames: []string{"sa"}, Namespaced: true,
		New:     func() runtime.Object { return &corev1.ServiceAccount{} },
		NewList: func() runtime.Object { return &corev1.ServiceAccountList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Number("Secrets", "The number of secrets it may use.", func(s *corev1.ServiceAccount) int64 { return int64(len(s.Secrets)) }),
			apis.AgeColumn(),
		},
	}
}
