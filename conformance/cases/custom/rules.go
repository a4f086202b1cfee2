package custom

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed rules.yaml
var rulesYAML string

func rules() suite.Case {
	return suite.Case{
		Name:     "custom/rules",
		Promise:  "CEL rules refuse in their own words, see the old object, spare what did not change, and are checked when they are written",
		Manifest: rulesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, rulesYAML)
			defer remove()
			if err != nil {
				return err
			}
			locks := e.Dynamic.Resource(schema.GroupVersionResource{
				Group: "rules.conformance.example", Version: "v1", Resource: "locks",
			}).Namespace(e.Namespace)
			if err := broken(ctx, locks); err != nil {
				return err
			}
			if err := transitions(ctx, locks); err != nil {
				return err
			}
			if err := ratcheting(ctx, e, locks); err != nil {
				return err
			}
			return badRules(ctx, e)
		},
	}
}

func lock(name, spec string) (*unstructured.Unstructured, error) {
	return object("apiVersion: rules.conformance.example/v1\nkind: Lock\nmetadata: {name: " + name + "}\nspec: " + spec)
}

func broken(ctx context.Context, locks dynamic.ResourceInterface) error {
	var wrong []error
	for _, c := range []struct{ name, spec, want string }{
		{"key", `{}`, `Lock.rules.conformance.example "key" is invalid: <nil>: Invalid value: a lock's name starts with l`},
		{"l", `{min: 5, max: 3}`, `Lock.rules.conformance.example "l" is invalid: spec.min: Forbidden: the range is upside down`},
		{"l", `{tags: [t1, x]}`, `Lock.rules.conformance.example "l" is invalid: spec.tags: Invalid value: tags start with t`},
		{"l", `{cidr: 1.2.3.0/4}`, `Lock.rules.conformance.example "l" is invalid: spec.cidr: Invalid value: "1.2.3.0/4": must be a network of at least /8`},
	} {
		obj, err := lock(c.name, c.spec)
		if err != nil {
			return err
		}
		_, err = locks.Create(ctx, obj, metav1.CreateOptions{})
		wrong = append(wrong, wantError(c.spec, err, c.want))
	}
	return errors.Join(wrong...)
}

func transitions(ctx context.Context, locks dynamic.ResourceInterface) error {
	obj, err := lock("l", `{id: a, once: abc}`)
	if err != nil {
		return err
	}
	if _, err := locks.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
		return err
	}
	var wrong []error
	for patch, want := range map[string]string{
		`{"spec":{"id":"b"}}`:      `Lock.rules.conformance.example "l" is invalid: spec.id: Invalid value: "b": id is immutable`,
		`{"spec":{"once":"a"}}`:    `Lock.rules.conformance.example "l" is invalid: spec.once: Invalid value: "a": once must not get shorter`,
		`{"spec":{"once":"abcd"}}`: "",
	} {
		_, err := locks.Patch(ctx, "l", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		if want == "" {
			if err != nil {
				return fmt.Errorf("%s: %w", patch, err)
			}
			continue
		}
		wrong = append(wrong, wantError(patch, err, want))
	}
	return errors.Join(wrong...)
}

// ratcheting tightens a schema over an object that does not fit it any more.
func ratcheting(ctx context.Context, e *suite.Env, locks dynamic.ResourceInterface) error {
	obj, err := lock("lax", `{level: 7}`)
	if err != nil {
		return err
	}
	if _, err := locks.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
		return err
	}
	err = change(ctx, e, "locks.rules.conformance.example", func(crd *unstructured.Unstructured) error {
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			return err
		}
		err = unstructured.SetNestedField(versions[0].(map[string]any), int64(5), "schema", "openAPIV3Schema", "properties", "spec", "properties", "level", "maximum")
		if err != nil {
			return err
		}
		return unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions")
	})
	if err != nil {
		return err
	}
	const tooHigh = `Lock.rules.conformance.example "lax" is invalid: spec.level: Invalid value: 8: spec.level in body should be less than or equal to 5`
	err = e.Eventually(ctx, 10*time.Second, "the tighter schema to hold", func(ctx context.Context) (bool, string, error) {
		_, err := locks.Patch(ctx, "lax", types.MergePatchType, []byte(`{"spec":{"level":8}}`), metav1.PatchOptions{DryRun: []string{"All"}})
		return err != nil && err.Error() == tooHigh, fmt.Sprint(err), nil
	})
	if err != nil {
		return err
	}
	if _, err := locks.Patch(ctx, "lax", types.MergePatchType, []byte(`{"spec":{"max":8}}`), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("a change elsewhere in an object that no longer fits: %w", err)
	}
	return nil
}

// badRules are refused with the definition.
func badRules(ctx context.Context, e *suite.Env) error {
	const at = `CustomResourceDefinition.apiextensions.k8s.io "bolts.rules.conformance.example" is invalid: ` +
		`spec.validation.openAPIV3Schema.properties[spec].properties[tags].x-kubernetes-validations[0].rule: `
	var wrong []error
	for rule, want := range map[string]string{
		`self.all(t, t.nope())`: at + `Invalid value: {"Rule":"self.all(t, t.nope())","Message":"tags start with t","MessageExpression":"","Reason":"FieldValueInvalid","FieldPath":"","OptionalOldSelf":null}: ` +
			"compilation failed: ERROR: <input>:1:19: undeclared reference to 'nope' (in container '')\n | self.all(t, t.nope())\n | ..................^",
		`size(self)`: at + `Invalid value: {"Rule":"size(self)","Message":"tags start with t","MessageExpression":"","Reason":"FieldValueInvalid","FieldPath":"","OptionalOldSelf":null}: cel expression must evaluate to a bool`,
	} {
		text := strings.NewReplacer("locks", "bolts", "Lock", "Bolt", "self.all(t, t.startsWith('t'))", rule).Replace(rulesYAML)
		crd, err := object(text)
		if err != nil {
			return err
		}
		_, err = e.Dynamic.Resource(definitions).Create(ctx, crd, metav1.CreateOptions{})
		wrong = append(wrong, wantError(rule, err, want))
	}
	text := strings.NewReplacer("locks", "bolts", "Lock", "Bolt", "                  maxItems: 10\n", "", ", maxLength: 10", "",
		"self.all(t, t.startsWith('t'))", "self.all(t, self.all(u, self.all(v, t != u)))").Replace(rulesYAML)
	crd, err := object(text)
	if err != nil {
		return err
	}
	_, err = e.Dynamic.Resource(definitions).Create(ctx, crd, metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "estimated rule cost exceeds budget by factor of more than 100x") {
		wrong = append(wrong, fmt.Errorf("a rule that may cost too much: %v", err))
	}
	return errors.Join(wrong...)
}
