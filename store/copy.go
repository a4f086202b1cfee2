package store

import (
	"fmt"
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// shallowCopy returns an object of its own struct that shares its deep parts
// with obj. Kind, API version, and the fields of metadata may be set on it.
func shallowCopy(obj runtime.Object) runtime.Object {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return &unstructured.Unstructured{Object: shallowContent(u.Object)}
	}
	v := reflect.ValueOf(obj).Elem()
	out := reflect.New(v.Type())
	out.Elem().Set(v)
	return out.Interface().(runtime.Object)
}

// shallowContent copies the levels of a map object that setters of metadata
// write to.
func shallowContent(content map[string]any) map[string]any {
	out := maps.Clone(content)
	if metadata, ok := out["metadata"].(map[string]any); ok {
		out["metadata"] = maps.Clone(metadata)
	}
	return out
}

// copyInto makes out a shallow copy of obj; a nil out is left alone.
func copyInto(out, obj runtime.Object) error {
	if out == nil {
		return nil
	}
	if u, ok := obj.(*unstructured.Unstructured); ok {
		dst, ok := out.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("cannot store %T in %T", obj, out)
		}
		dst.Object = shallowContent(u.Object)
		return nil
	}
	src, dst := reflect.ValueOf(obj), reflect.ValueOf(out)
	if src.Type() != dst.Type() {
		return fmt.Errorf("cannot store %T in %T", obj, out)
	}
	dst.Elem().Set(src.Elem())
	return nil
}
