package policies

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A template may hold anything where its Rego belongs.
func FuzzTemplate(f *testing.F) {
	for _, rego := range []string{
		"package a\nviolation[{\"msg\": msg}] { msg := \"no\" }",
		"package a\nviolation[{\"msg\": msg}] { x := input.review.object; count(x) > 0; msg := sprintf(\"%v\", [x]) }",
		"package a\nimport data.lib.b\n", "package", "{{{{", "package a\nviolation[x] { violation[x] }", "",
		"package a\nviolation[{\"msg\": \"\"}] { http.send({\"url\": \"http://localhost\"}) }",
	} {
		f.Add(rego, "")
	}
	f.Fuzz(func(_ *testing.T, rego, lib string) {
		target := map[string]any{"target": targetName, "rego": rego}
		if lib != "" {
			target["libs"] = []any{lib}
		}
		_ = CheckTemplate(context.Background(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": TemplateGroup + "/v1", "kind": templateKind, "metadata": map[string]any{"name": "fuzzed"},
			"spec": map[string]any{
				"crd":     map[string]any{"spec": map[string]any{"names": map[string]any{"kind": "Fuzzed"}}},
				"targets": []any{target},
			},
		}})
	})
}
