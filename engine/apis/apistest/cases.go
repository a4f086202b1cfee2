// Package apistest runs tables of cases over the rules of a row: take a valid
// object, change one thing, and name the errors that must follow. It is for tests
// only and keeps no state.
package apistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Case is one change of a valid object, and what it leads to.
type Case[T runtime.Object] struct {
	Change func(obj T)
	// Want are the errors as "path: type of error", in the order of validation.
	Want []string
}

// Row finds the row of a kind.
func Row(t *testing.T, rows []apis.Resource, kind string) apis.Resource {
	t.Helper()
	for _, row := range rows {
		if row.GVK.Kind == kind {
			return row
		}
	}
	t.Fatalf("no row of kind %s", kind)
	return apis.Resource{}
}

// Create runs what a create runs: defaults, preparation, validation.
func Create(row apis.Resource, obj runtime.Object) field.ErrorList {
	call(row.Rules.Default, obj)
	if f := row.Rules.PrepareForCreate; f != nil {
		f(context.Background(), obj)
	}
	return row.Rules.Validate(context.Background(), obj)
}

// Update runs what an update runs.
func Update(row apis.Resource, obj, old runtime.Object) field.ErrorList {
	call(row.Rules.Default, obj)
	if f := row.Rules.PrepareForUpdate; f != nil {
		f(context.Background(), obj, old)
	}
	return row.Rules.ValidateUpdate(context.Background(), obj, old)
}

// UpdateStatus runs what an update of the status runs.
func UpdateStatus(row apis.Resource, obj, old runtime.Object) field.ErrorList {
	call(row.Rules.Default, obj)
	if f := row.Rules.PrepareForStatusUpdate; f != nil {
		f(context.Background(), obj, old)
	}
	return row.Rules.ValidateStatusUpdate(context.Background(), obj, old)
}

func call(f func(runtime.Object), obj runtime.Object) {
	if f != nil {
		f(obj)
	}
}

// RunCreate checks each case against a fresh object of base, and that base
// itself is valid.
func RunCreate[T runtime.Object](t *testing.T, row apis.Resource, base func() T, cases map[string]Case[T]) {
	t.Helper()
	if errs := Create(row, base()); len(errs) > 0 {
		t.Fatalf("the base object is invalid: %v", errs.ToAggregate())
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			obj := base()
			c.Change(obj)
			compare(t, c.Want, Create(row, obj))
		})
	}
}

// RunUpdate checks each change of an object created from base.
func RunUpdate[T runtime.Object](t *testing.T, row apis.Resource, base func() T, cases map[string]Case[T]) {
	t.Helper()
	runChange(t, row, base, cases, Update)
}

// RunStatus checks each change of the status of an object created from base.
func RunStatus[T runtime.Object](t *testing.T, row apis.Resource, base func() T, cases map[string]Case[T]) {
	t.Helper()
	runChange(t, row, base, cases, UpdateStatus)
}

func runChange[T runtime.Object](t *testing.T, row apis.Resource, base func() T, cases map[string]Case[T],
	update func(row apis.Resource, obj, old runtime.Object) field.ErrorList,
) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			old := base()
			if errs := Create(row, old); len(errs) > 0 {
				t.Fatalf("the base object is invalid: %v", errs.ToAggregate())
			}
			obj := old.DeepCopyObject().(T)
			c.Change(obj)
			before := old.DeepCopyObject()
			compare(t, c.Want, update(row, obj, old))
			if diff := cmp.Diff(before, old.DeepCopyObject()); diff != "" {
				t.Errorf("the old object was changed (-was +is):\n%s", diff)
			}
		})
	}
}

func compare(t *testing.T, want []string, errs field.ErrorList) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, fmt.Sprintf("%s: %s", err.Field, err.Type))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s\n%v", diff, errs.ToAggregate())
	}
}

// Cells gives the table row of an object: column name to cell.
func Cells(row apis.Resource, obj runtime.Object) map[string]any {
	cells := map[string]any{}
	for _, column := range row.Columns {
		cells[column.Name] = column.Cell(obj)
	}
	return cells
}

// Columns gives the names of the columns, those of wide output in parentheses.
func Columns(row apis.Resource) []string {
	var names []string
	for _, column := range row.Columns {
		name := column.Name
		if column.Priority > 0 {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return names
}
