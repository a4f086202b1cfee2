package apis

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// apiTypes is where the kinds' types live. Types of other packages (metadata,
// selectors, quantities) show themselves the same way everywhere.
const apiTypes = "k8s.io/api/"

// Shown is a value as messages of a Kubernetes API server show it: structs of an
// API group carry the names of their Go fields, and unset fields are null. So a
// message of ours finds the same answers in a search as one of upstream's.
type Shown struct{ Value any }

// MarshalJSON implements json.Marshaler.
func (s Shown) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	if err := show(&out, reflect.ValueOf(s.Value)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// ShowsGoNames tells whether Shown differs from the plain JSON of v.
func ShowsGoNames(v any) bool {
	t := reflect.TypeOf(v)
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	return t != nil && t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), apiTypes)
}

func show(out *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() {
		out.WriteString("null")
		return nil
	}
	if _, ok := v.Interface().(json.Marshaler); ok {
		return plain(out, v)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return show(out, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 || v.IsNil() {
			return plain(out, v)
		}
		return showList(out, v)
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			return plain(out, v)
		}
		return showMap(out, v)
	case reflect.Struct:
		if strings.HasPrefix(v.Type().PkgPath(), apiTypes) {
			out.WriteByte('{')
			err := showFields(out, v)
			out.WriteByte('}')
			return err
		}
	}
	return plain(out, v)
}

func plain(out *bytes.Buffer, v reflect.Value) error {
	text, err := json.Marshal(v.Interface())
	out.Write(text)
	return err
}

func showList(out *bytes.Buffer, v reflect.Value) error {
	out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := show(out, v.Index(i)); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func showMap(out *bytes.Buffer, v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	out.WriteByte('{')
	for i, key := range keys {
		if err := showNamed(out, i == 0, key.String(), v.MapIndex(key)); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func showNamed(out *bytes.Buffer, first bool, name string, v reflect.Value) error {
	if !first {
		out.WriteByte(',')
	}
	if err := plain(out, reflect.ValueOf(name)); err != nil {
		return err
	}
	out.WriteByte(':')
	return show(out, v)
}

// showFields writes the fields of a struct without its braces. Embedded structs
// show their fields in its place.
func showFields(out *bytes.Buffer, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.Name == "TypeMeta" {
			continue // upstream's objects know their type from where they are
		}
		first := out.Bytes()[out.Len()-1] == '{'
		if !f.Anonymous {
			if err := showNamed(out, first, f.Name, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		var inner bytes.Buffer
		if err := show(&inner, v.Field(i)); err != nil {
			return err
		}
		if fields := bytes.TrimSuffix(bytes.TrimPrefix(inner.Bytes(), []byte("{")), []byte("}")); len(fields) > 0 {
			if !first {
				out.WriteByte(',')
			}
			out.Write(fields)
		}
	}
	return nil
}
