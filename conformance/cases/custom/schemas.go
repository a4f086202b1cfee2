package custom

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed schemas.yaml
var schemasYAML string

const boat = `
apiVersion: schemas.conformance.example/v1
kind: Boat
metadata: {name: ada}
spec:
  hull: wood
  port: 8080
  sail: red
  motto: null
  crew: [{name: bo, hat: true}]
  cargo: {known: {a: x, b: y}, other: {c: z}}
  flags: {lit: true}
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: inner, wrong: 1}, data: {k: v}}
`

func schemas() suite.Case {
	return suite.Case{
		Name:     "custom/schemas",
		Promise:  "a structural schema prunes, defaults and validates, in upstream's words, and a changed default shows on what is stored",
		Manifest: schemasYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, schemasYAML)
			defer remove()
			if err != nil {
				return err
			}
			boats := e.Dynamic.Resource(schema.GroupVersionResource{
				Group: "schemas.conformance.example", Version: "v1", Resource: "boats",
			}).Namespace(e.Namespace)
			if err := pruned(ctx, boats); err != nil {
				return err
			}
			if err := refused(ctx, e, boats); err != nil {
				return err
			}
			return newDefault(ctx, e, boats)
		},
	}
}

func pruned(ctx context.Context, boats dynamic.ResourceInterface) error {
	obj, err := object(boat)
	if err != nil {
		return err
	}
	made, err := boats.Create(ctx, obj, metav1.CreateOptions{FieldValidation: "Ignore"})
	if err != nil {
		return err
	}
	want := map[string]any{
		"hull": "wood", "masts": int64(1), "port": int64(8080), "motto": nil,
		"crew":     []any{map[string]any{"name": "bo", "role": "hand"}},
		"cargo":    map[string]any{"known": map[string]any{"a": "x"}, "other": map[string]any{"c": "z"}},
		"flags":    map[string]any{"lit": true},
		"template": map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "inner"}, "data": map[string]any{"k": "v"}},
	}
	if diff := cmp.Diff(want, field(made, "spec")); diff != "" {
		return fmt.Errorf("what was stored (-want +got):\n%s", diff)
	}
	obj.SetName("strict")
	_, err = boats.Create(ctx, obj, metav1.CreateOptions{FieldValidation: "Strict"})
	return wantError("strict", err, `Boat in version "v1" cannot be handled as a Boat: strict decoding error: `+
		`unknown field "spec.cargo.known.b", unknown field "spec.crew[0].hat", unknown field "spec.sail", unknown field "spec.template.metadata.wrong"`)
}

func refused(ctx context.Context, e *suite.Env, boats dynamic.ResourceInterface) error {
	const invalid = `Boat.schemas.conformance.example "bad" is invalid: `
	var wrong []error
	for spec, want := range map[string]string{
		`{}`:                                invalid + `spec.hull: Required value`,
		`{hull: ice}`:                       invalid + `spec.hull: Unsupported value: "ice": supported values: "wood", "steel"`,
		`{hull: wood, masts: 5}`:            invalid + `spec.masts: Invalid value: 5: spec.masts in body should be less than or equal to 4`,
		`{hull: wood, masts: "1"}`:          invalid + `spec.masts: Invalid value: "string": spec.masts in body must be of type integer: "string"`,
		`{hull: wood, name: longer}`:        invalid + `spec.name: Too long: may not be more than 5 bytes`,
		`{hull: wood, name: BIG}`:           invalid + `spec.name: Invalid value: "BIG": spec.name in body should match '^[a-z]+$'`,
		`{hull: wood, crew: [{}, {}, {}]}`:  invalid + `spec.crew: Too many: 3: must have at most 2 items`,
		`{hull: wood, flags: {lit: 1}}`:     invalid + `spec.flags.lit: Invalid value: "integer": spec.flags.lit in body must be of type boolean: "integer"`,
		`{hull: wood, port: true}`:          invalid + `spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"`,
		`{hull: wood, template: {kind: X}}`: invalid + `spec.template.apiVersion: Required value`,
	} {
		obj, err := object("apiVersion: schemas.conformance.example/v1\nkind: Boat\nmetadata: {name: bad}\nspec: " + spec)
		if err != nil {
			return err
		}
		_, err = boats.Create(ctx, obj, metav1.CreateOptions{})
		wrong = append(wrong, wantError(spec, err, want))
	}
	_, err := e.Dynamic.Resource(definitions).Create(ctx, unstructuralBoat(), metav1.CreateOptions{})
	wrong = append(wrong, wantError("a schema without types", err, `CustomResourceDefinition.apiextensions.k8s.io "rafts.schemas.conformance.example" is invalid: `+
		`spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields`))
	return errors.Join(wrong...)
}

func unstructuralBoat() *unstructured.Unstructured {
	text := strings.NewReplacer("boats", "rafts", "Boat", "Raft").Replace(schemasYAML)
	obj, err := object(text[:strings.Index(text, "          required: [spec]")] + "          properties: {spec: {properties: {a: {type: string}}}}\n")
	if err != nil {
		panic(err)
	}
	return obj
}

// newDefault gives a field a default after an object was stored without it.
func newDefault(ctx context.Context, e *suite.Env, boats dynamic.ResourceInterface) error {
	err := change(ctx, e, "boats.schemas.conformance.example", func(crd *unstructured.Unstructured) error {
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			return err
		}
		err = unstructured.SetNestedField(versions[0].(map[string]any), "dry", "schema", "openAPIV3Schema", "properties", "spec", "properties", "name", "default")
		if err != nil {
			return err
		}
		return unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions")
	})
	if err != nil {
		return err
	}
	return e.Eventually(ctx, 10e9, "the new default to show", func(ctx context.Context) (bool, string, error) {
		obj, err := boats.Get(ctx, "ada", metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return field(obj, "spec", "name") == "dry", fmt.Sprint(field(obj, "spec")), nil
	})
}
