package guard

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
)

// Depth bounds the levels of an object. The library decodes ten thousand, but with
// managed fields around it, such an object could be stored and not be read again.
const Depth = 1000

var errDepth = errors.New("the object has more than 1000 levels")

// deepJSON reports whether text has more than Depth open brackets at a time, outside
// of strings. It need not be JSON.
func deepJSON(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > Depth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// deepObject reports the same of an object without a Go type of its own, which
// patches may have grown.
func deepObject(obj runtime.Object) bool {
	u, ok := obj.(runtime.Unstructured)
	return ok && deepValue(u.UnstructuredContent(), 1)
}

func deepValue(v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if depth > Depth || deepValue(inner, depth+1) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if depth > Depth || deepValue(inner, depth+1) {
				return true
			}
		}
	}
	return false
}
