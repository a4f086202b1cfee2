package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

var quantityType = reflect.TypeFor[resource.Quantity]()

// checkJSON looks at every value that has the place of a quantity in an object of
// type t, or in a patch of one that has the object's shape. A body that is no JSON,
// or not of that shape, is left to the decoder.
func checkJSON(body []byte, t reflect.Type) error {
	value, ok := decode(body)
	if !ok {
		return nil
	}
	return checkValue(value, t, "")
}

// checkJSONPatch does the same for the values of a JSON patch.
func checkJSONPatch(body []byte, t reflect.Type) error {
	value, _ := decode(body)
	ops, _ := value.([]any)
	for _, op := range ops {
		fields, _ := op.(map[string]any)
		path, _ := fields["path"].(string)
		if at := typeAt(t, path); at != nil {
			if err := checkValue(fields["value"], at, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func decode(body []byte) (value any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return value, d.Decode(&value) == nil
}

func checkValue(v any, t reflect.Type, path string) error {
	t = deref(t)
	if t == quantityType {
		return checkText(v, path)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if at := member(t, key); at != nil {
				if err := checkValue(inner, at, path+"/"+key); err != nil {
					return err
				}
			}
		}
	case []any:
		if t.Kind() != reflect.Slice {
			return nil
		}
		for i, inner := range v {
			if err := checkValue(inner, t.Elem(), path+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkText(v any, path string) error {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = string(v)
	}
	if err := checkQuantity(text); err != nil {
		return fmt.Errorf("%.300s: %w", path, err)
	}
	return nil
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// member is the type of a field by its JSON name, or of a value of a map. Names are
// compared without case, as a lax decoder would.
func member(t reflect.Type, key string) reflect.Type {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem()
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" && f.Anonymous {
				if at := member(deref(f.Type), key); at != nil {
					return at
				}
			}
			if name != "" && strings.EqualFold(name, key) {
				return f.Type
			}
		}
	}
	return nil
}

// typeAt follows a JSON pointer.
func typeAt(t reflect.Type, pointer string) reflect.Type {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		t = deref(t)
		if t.Kind() == reflect.Slice {
			t = t.Elem()
			continue
		}
		if t = member(t, strings.NewReplacer("~1", "/", "~0", "~").Replace(token)); t == nil {
			return nil
		}
	}
	return t
}

// checkProtobuf does it for a message of type t, whose fields carry their numbers in
// struct tags. What is malformed is left to the decoder.
func checkProtobuf(message []byte, t reflect.Type, depth int) error {
	if depth > Depth {
		return errDepth
	}
	t = deref(t)
	for number, value := range lengthDelimited(message) {
		if err := checkField(value, t, int(number), depth); err != nil {
			return err
		}
	}
	return nil
}

func checkField(value []byte, t reflect.Type, number, depth int) error {
	if t == quantityType {
		return checkQuantity(string(value))
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		parts := strings.SplitN(f.Tag.Get("protobuf"), ",", 3)
		if len(parts) < 2 || parts[1] != strconv.Itoa(number) {
			continue
		}
		at := deref(f.Type)
		switch at.Kind() {
		case reflect.Map:
			return checkEntry(value, deref(at.Elem()), depth)
		case reflect.Slice:
			at = deref(at.Elem())
		}
		if at.Kind() == reflect.Struct {
			return checkProtobuf(value, at, depth+1)
		}
	}
	return nil
}

// checkEntry is for an entry of a map: its field 2 is the value.
func checkEntry(entry []byte, t reflect.Type, depth int) error {
	if t.Kind() != reflect.Struct {
		return nil
	}
	const valueNumber = 2
	for value := range submessages(entry, valueNumber) {
		if err := checkProtobuf(value, t, depth+1); err != nil {
			return err
		}
	}
	return nil
}
