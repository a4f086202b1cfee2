package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func resourceQuotas() apis.Resource {
	rules := apis.TypedRules[*corev1.ResourceQuota]{
		Default: func(q *corev1.ResourceQuota) {
			DefaultResourceList(q.Spec.Hard)
			DefaultResourceList(q.Status.Hard)
			DefaultResourceList(q.Status.Used)
		},
		PrepareForCreate:       func(_ context.Context, q *corev1.ResourceQuota) { q.Status = corev1.ResourceQuotaStatus{} },
		PrepareForUpdate:       func(_ context.Context, q, old *corev1.ResourceQuota) { q.Status = old.Status },
		PrepareForStatusUpdate: func(_ context.Context, q, old *corev1.ResourceQuota) { q.Spec = old.Spec },
		Validate:               func(_ context.Context, q *corev1.ResourceQuota) field.ErrorList { return validateQuota(q) },
		ValidateUpdate:         validateQuotaUpdate,
		ValidateStatusUpdate:   validateQuotaStatusUpdate,
	}.Rules()
	return apis.Resource{
		GVK: kind("ResourceQuota"), Plural: "resourcequotas", Singular: "resourcequota", ShortNames: []string{"quota"}, Namespaced: true,
		New:            func() runtime.Object { return &corev1.ResourceQuota{} },
		NewList:        func() runtime.Object { return &corev1.ResourceQuotaList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Request", "Used and allowed requests and counts.", func(q *corev1.ResourceQuota) string { return quotaCell(q, false) }),
			apis.Text("Limit", "Used and allowed limits.", func(q *corev1.ResourceQuota) string { return quotaCell(q, true) }),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func quotaCell(q *corev1.ResourceQuota, limits bool) string {
	var parts []string
	for name, hard := range q.Status.Hard {
		if strings.HasPrefix(string(name), "limits.") == limits {
			used := q.Status.Used[name]
			parts = append(parts, fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String()))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
