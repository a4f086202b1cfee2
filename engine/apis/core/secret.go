package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func secrets() apis.Resource {
	rules := apis.TypedRules[*corev1.Secret]{
		Default:          defaultSecret,
		Validate:         func(_ context.Context, s *corev1.Secret) field.ErrorList { return validateSecret(s) },
		ValidateUpdate:   validateSecretUpdate,
		PrepareForUpdate: prepareSecretUpdate,
		WarningsOnCreate: func(_ context.Context, s *corev1.Secret) []string { return secretWarnings(s) },
		WarningsOnUpdate: func(_ context.Context, s, _ *corev1.Secret) []string { return secretWarnings(s) },
	}.Rules()
	return apis.Resource{
		GVK: kind("Secret"), Plural: "secrets", Singular: "secret", Namespaced: true,
		New:     func() runtime.Object { return &corev1.Secret{} },
		NewList: func() runtime.Object { return &corev1.SecretList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Type", "What the secret is for.", func(s *corev1.Secret) string { return string(s.Type) }),
			apis.Number("Data", "The number of keys.", func(s *corev1.Secret) int64 { return int64(len(s.Data)) }).AsText(),
			apis.AgeColumn(),
		},
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"type": string(obj.(*corev1.Secret).Type)}
		},
	}
}

// defaultSecret also folds the write-only stringData into data.
func defaultSecret(s *corev1.Secret) {
	setDefault(&s.Type, corev1.SecretTypeOpaque)
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}
