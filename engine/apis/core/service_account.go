package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func serviceAccounts() apis.Resource {
	rules := apis.TypedRules[*corev1.ServiceAccount]{
		PrepareForCreate: func(_ context.Context, s *corev1.ServiceAccount) { cleanSecretReferences(s) },
		PrepareForUpdate: func(_ context.Context, s, _ *corev1.ServiceAccount) { cleanSecretReferences(s) },
		Validate: func(_ context.Context, s *corev1.ServiceAccount) field.ErrorList {
			return apis.ValidateMeta(&s.ObjectMeta, true, validation.ValidateServiceAccountName, metadata)
		},
		ValidateUpdate: func(_ context.Context, s, old *corev1.ServiceAccount) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, apis.ValidateMeta(&s.ObjectMeta, true, validation.ValidateServiceAccountName, metadata)...)
		},
		WarningsOnCreate: func(_ context.Context, s *corev1.ServiceAccount) []string { return serviceAccountWarnings(s) },
		WarningsOnUpdate: func(_ context.Context, s, _ *corev1.ServiceAccount) []string { return serviceAccountWarnings(s) },
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: kind("ServiceAccount"), Plural: "serviceaccounts", Singular: "serviceaccount", ShortNames: []string{"sa"}, Namespaced: true,
		New:            func() runtime.Object { return &corev1.ServiceAccount{} },
		NewList:        func() runtime.Object { return &corev1.ServiceAccountList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.AgeColumn(),
		},
	}
}

// cleanSecretReferences keeps of each reference the name alone.
func cleanSecretReferences(s *corev1.ServiceAccount) {
	for i, ref := range s.Secrets {
		s.Secrets[i] = corev1.ObjectReference{Name: ref.Name}
	}
}

func serviceAccountWarnings(s *corev1.ServiceAccount) []string {
	if _, ok := s.Annotations["kubernetes.io/enforce-mountable-secrets"]; ok {
		return []string{`metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`}
	}
	return nil
}
