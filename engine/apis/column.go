package apis

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

var metaDoc = metav1.ObjectMeta{}.SwaggerDoc()

// NameColumn is the first column of almost every table.
func NameColumn() Column {
	return Column{Name: "Name", Type: "string", Format: "name", Description: metaDoc["name"], Cell: func(obj runtime.Object) any {
		if m, err := meta.Accessor(obj); err == nil {
			return m.GetName()
		}
		return ""
	}}
}

// AgeColumn is the time since creation, as people read it.
func AgeColumn() Column {
	return Column{Name: "Age", Type: "string", Description: metaDoc["creationTimestamp"], Cell: func(obj runtime.Object) any {
		if m, err := meta.Accessor(obj); err == nil {
			return Since(m.GetCreationTimestamp())
		}
		return ""
	}}
}

// CreatedColumn is the creation time itself; kinds without a printer of their
// own show it.
func CreatedColumn() Column {
	return Column{Name: "Created At", Type: "date", Description: metaDoc["creationTimestamp"], Cell: func(obj runtime.Object) any {
		if m, err := meta.Accessor(obj); err == nil {
			return m.GetCreationTimestamp().UTC().Format(time.RFC3339)
		}
		return ""
	}}
}

// Text is a string column over the hub type T.
func Text[T runtime.Object](name, description string, cell func(obj T) string) Column {
	return Column{Name: name, Type: "string", Description: description, Cell: func(obj runtime.Object) any { return cell(obj.(T)) }}
}

// Number is an integer column over the hub type T.
func Number[T runtime.Object](name, description string, cell func(obj T) int64) Column {
	return Column{Name: name, Type: "integer", Description: description, Cell: func(obj runtime.Object) any { return cell(obj.(T)) }}
}

// Flag is a boolean column over the hub type T.
func Flag[T runtime.Object](name, description string, cell func(obj T) bool) Column {
	return Column{Name: name, Type: "boolean", Description: description, Cell: func(obj runtime.Object) any { return cell(obj.(T)) }}
}

// Wide gives the same column, shown in wide output only.
func (c Column) Wide() Column {
	c.Priority = 1
	return c
}

// AsName gives the same column, published as one of names.
func (c Column) AsName() Column {
	c.Format = "name"
	return c
}

// AsText gives the same column, published as one of strings. Cells of numbers stay
// numbers: so does an API server publish some of its columns.
func (c Column) AsText() Column {
	c.Type = "string"
	return c
}

// Since is the time passed since t in the short form of kubectl.
func Since(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(t.Time))
}

// SinceMicro is Since for a time of microsecond precision.
func SinceMicro(t metav1.MicroTime) string { return Since(metav1.Time(t)) }

// OrNone is s, or <none> if it is empty.
func OrNone(s string) string { return OrElse(s, "<none>") }

// OrElse is s, or the fallback if s is empty.
func OrElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// OrUnset is the string behind p, or <unset>.
func OrUnset(p *string) string {
	if p == nil {
		return "<unset>"
	}
	return *p
}
