package plantest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// changes lists what differs between two objects, one field a line.
func changes(old, obj runtime.Object) []string {
	before, after := flatten(old), flatten(obj)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	var out []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.HasPrefix(path, "metadata.resourceVersion") {
			continue
		}
		b, had := before[path]
		a, has := after[path]
		switch {
		case had && !has:
			out = append(out, fmt.Sprintf("%s: %s -> none", path, b))
		case !had && has:
			out = append(out, fmt.Sprintf("%s: %s", path, a))
		case a != b:
			out = append(out, fmt.Sprintf("%s: %s -> %s", path, b, a))
		}
	}
	return out
}

func flatten(obj runtime.Object) map[string]string {
	raw, err := json.Marshal(obj)
	if err != nil {
		panic(err)
	}
	var content map[string]any
	if err := json.Unmarshal(raw, &content); err != nil {
		panic(err)
	}
	out := map[string]string{}
	walk(out, "", content)
	return out
}

func walk(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			walk(out, strings.TrimPrefix(path+"."+k, "."), child)
		}
	case []any:
		for i, child := range v {
			walk(out, fmt.Sprintf("%s[%s]", path, element(i, child)), child)
		}
	default:
		out[path] = fmt.Sprint(v)
	}
}

// element names a list element by its type or name if it has one: conditions move
// about in their list.
func element(i int, v any) string {
	if m, ok := v.(map[string]any); ok {
		for _, key := range []string{"type", "name"} {
			if s, ok := m[key].(string); ok {
				return s
			}
		}
	}
	return fmt.Sprint(i)
}
