package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func limitRanges() apis.Resource {
	rules := apis.TypedRules[*corev1.LimitRange]{
		Default: func(l *corev1.LimitRange) {
			for i := range l.Spec.Limits {
				defaultLimit(&l.Spec.Limits[i])
			}
		},
		Validate: func(_ context.Context, l *corev1.LimitRange) field.ErrorList { return validateLimitRange(l) },
		ValidateUpdate: func(_ context.Context, l, _ *corev1.LimitRange) field.ErrorList {
			return validateLimitRange(l)
		},
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("LimitRange"), Plural: "limitranges", Singular: "limitrange", ShortNames: []string{"limits"}, Namespaced: true,
		New:     func() runtime.Object { return &corev1.LimitRange{} },
		NewList: func() runtime.Object { return &corev1.LimitRangeList{} },
		Rules:   rules,
		Columns: []apis.Column{apis.NameColumn(), apis.CreatedColumn()},
	}
}

// defaultLimit completes the limit of containers: the largest amount allowed is
// the default limit, which is the default request, as is the smallest allowed.
func defaultLimit(l *corev1.LimitRangeItem) {
	for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
		DefaultResourceList(list)
	}
	if l.Type != corev1.LimitTypeContainer {
		return
	}
	if l.Default == nil {
		l.Default = corev1.ResourceList{}
	}
	if l.DefaultRequest == nil {
		l.DefaultRequest = corev1.ResourceList{}
	}
	fill(l.Default, l.Max)
	fill(l.DefaultRequest, l.Default)
	fill(l.DefaultRequest, l.Min)
}

func fill(list, from corev1.ResourceList) {
	for name, quantity := range from {
		if _, set := list[name]; !set {
			list[name] = quantity.DeepCopy()
		}
	}
}
