package custom

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed apply.yaml
var applyYAML string

func apply() suite.Case {
	return suite.Case{
		Name:     "custom/apply",
		Promise:  "server-side apply merges custom resources as their schema says: lists by key, sets and atomic parts, with conflicts by path",
		Manifest: applyYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, applyYAML)
			defer remove()
			if err != nil {
				return err
			}
			menus := e.Dynamic.Resource(schema.GroupVersionResource{
				Group: "apply.conformance.example", Version: "v1", Resource: "menus",
			}).Namespace(e.Namespace)
			if err := merged(ctx, menus); err != nil {
				return err
			}
			return doubled(ctx, menus)
		},
	}
}

func applyMenu(ctx context.Context, menus dynamic.ResourceInterface, manager, spec string) (*unstructured.Unstructured, error) {
	obj, err := object("apiVersion: apply.conformance.example/v1\nkind: Menu\nmetadata: {name: m}\nspec: " + spec)
	if err != nil {
		return nil, err
	}
	return menus.Apply(ctx, "m", obj, metav1.ApplyOptions{FieldManager: manager})
}

func merged(ctx context.Context, menus dynamic.ResourceInterface) error {
	_, err := applyMenu(ctx, menus, "cook", `{dishes: [{name: pie, price: 3}, {name: soup, size: big, price: 2}], tags: [a, b], hours: [am, pm], owner: {first: x}}`)
	if err != nil {
		return err
	}
	got, err := applyMenu(ctx, menus, "waiter", `{dishes: [{name: soup, size: big, note: hot}, {name: pie, size: small, price: 1}], tags: [b, c]}`)
	if err != nil {
		return err
	}
	want := map[string]any{
		"dishes": []any{
			map[string]any{"name": "pie", "size": "medium", "price": int64(3)},
			map[string]any{"name": "soup", "size": "big", "price": int64(2), "note": "hot"},
			map[string]any{"name": "pie", "size": "small", "price": int64(1)},
		},
		"tags": []any{"a", "b", "c"}, "hours": []any{"am", "pm"}, "owner": map[string]any{"first": "x"},
	}
	if diff := cmp.Diff(want, field(got, "spec")); diff != "" {
		return fmt.Errorf("after two appliers:\n%s", diff)
	}
	_, err = applyMenu(ctx, menus, "waiter", `{dishes: [{name: soup, size: big, price: 9}], hours: [pm], owner: {last: z}}`)
	if err := wantError("a conflict", err, `Apply failed with 3 conflicts: conflicts with "cook":
- .spec.hours
- .spec.owner
- .spec.dishes[name="soup",size="big"].price`); err != nil {
		return err
	}
	// What an applier leaves out and nobody else holds goes.
	got, err = applyMenu(ctx, menus, "waiter", `{tags: [c]}`)
	if err != nil {
		return err
	}
	dishes, _ := field(got, "spec", "dishes").([]any)
	if len(dishes) != 2 || dishes[1].(map[string]any)["note"] != nil {
		return fmt.Errorf("dishes after the second applier let go: %v", dishes)
	}
	tags, _ := field(got, "spec", "tags").([]any)
	if !slices.Contains(tags, any("c")) || len(tags) != 3 {
		return fmt.Errorf("tags after the second applier let go: %v", tags)
	}
	return statusManager(ctx, menus)
}

// statusManager: an applier of status is known by the subresource.
func statusManager(ctx context.Context, menus dynamic.ResourceInterface) error {
	obj, err := object("apiVersion: apply.conformance.example/v1\nkind: Menu\nmetadata: {name: m}\nstatus: {open: true}")
	if err != nil {
		return err
	}
	got, err := menus.ApplyStatus(ctx, "m", obj, metav1.ApplyOptions{FieldManager: "door"})
	if err != nil {
		return err
	}
	for _, entry := range got.GetManagedFields() {
		if entry.Manager == "door" {
			if entry.Subresource != "status" || !strings.Contains(entry.FieldsV1.GetRawString(), `"f:open"`) {
				return fmt.Errorf("managed fields of the status: %+v", entry)
			}
			return nil
		}
	}
	return fmt.Errorf("nobody manages the status: %+v", got.GetManagedFields())
}

// doubled entries of sets and keyed lists are refused.
func doubled(ctx context.Context, menus dynamic.ResourceInterface) error {
	obj, err := object("apiVersion: apply.conformance.example/v1\nkind: Menu\nmetadata: {name: twice}\nspec: {tags: [a, a], dishes: [{name: x}, {name: x, size: medium}]}")
	if err != nil {
		return err
	}
	_, err = menus.Create(ctx, obj, metav1.CreateOptions{})
	for _, want := range []string{`spec.dishes[1]: Duplicate value: {"name":"x","size":"medium"}`, `spec.tags[1]: Duplicate value: "a"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("doubled entries: got %v, want %s", err, want)
		}
	}
	return nil
}
