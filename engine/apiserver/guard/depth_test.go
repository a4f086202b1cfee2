package guard

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDeepJSON(t *testing.T) {
	for text, deep := range map[string]bool{
		"":                                                      false,
		strings.Repeat("[", Depth):                              false,
		strings.Repeat("[", Depth+1):                            true,
		strings.Repeat(`{"a":`, Depth+1):                        true,
		strings.Repeat("[]", 5*Depth):                           false,
		`"` + strings.Repeat("[", 5000):                         false,
		`"\"` + strings.Repeat("[", 5000) + `"`:                 false,
		`"\\"` + strings.Repeat("[", 5000):                      true,
		strings.Repeat("]", 50) + strings.Repeat("[", Depth+50): false, // no JSON
	} {
		if got := deepJSON([]byte(text)); got != deep {
			t.Errorf("%.20q... is deep: %v, want %v", text, got, deep)
		}
	}
}

// A patch that copies an object into itself deepens what is stored by more than it
// is deep.
func TestDeepObject(t *testing.T) {
	var value any = "end"
	for range Depth - 1 {
		value = []any{value}
	}
	object := map[string]any{"any": value}
	if deepObject(&unstructured.Unstructured{Object: object}) {
		t.Error("an object at the limit is too deep")
	}
	object["any"] = []any{value}
	if !deepObject(&unstructured.Unstructured{Object: object}) {
		t.Error("an object over the limit is let through")
	}
}
