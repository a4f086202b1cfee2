package registry

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

// shape is what the structure of a kind says about its writes: where spec and
// status are. It serves the rows that bring no preparation of their own.
type shape struct {
	spec, status int // field indices, -1 if there is none
}

func shapeOf(row *apis.Resource) shape {
	t := reflect.TypeOf(row.New()).Elem()
	s := shape{spec: -1, status: -1}
	if f, ok := t.FieldByName("Spec"); ok {
		s.spec = f.Index[0]
	}
	if f, ok := t.FieldByName("Status"); ok && row.HasStatus {
		s.status = f.Index[0]
	}
	return s
}

// prepareForCreate drops the status and counts the first generation.
func (s shape) prepareForCreate(obj runtime.Object) {
	if s.status < 0 {
		return
	}
	reflect.ValueOf(obj).Elem().Field(s.status).SetZero()
	if m, err := meta.Accessor(obj); err == nil && s.spec >= 0 {
		m.SetGeneration(1)
	}
}

// prepareForUpdate keeps the old status and counts a generation per change of spec.
func (s shape) prepareForUpdate(obj, old runtime.Object) {
	if s.status < 0 {
		return
	}
	a, b := reflect.ValueOf(obj).Elem(), reflect.ValueOf(old).Elem()
	a.Field(s.status).Set(b.Field(s.status))
	if s.spec < 0 || equality.Semantic.DeepEqual(a.Field(s.spec).Interface(), b.Field(s.spec).Interface()) {
		return
	}
	newMeta, err := meta.Accessor(obj)
	oldMeta, oldErr := meta.Accessor(old)
	if err == nil && oldErr == nil {
		newMeta.SetGeneration(oldMeta.GetGeneration() + 1)
	}
}

// prepareForStatusUpdate keeps everything but the status, and of the metadata
// what a status update may change (managedFields and the precondition).
func (s shape) prepareForStatusUpdate(obj, old runtime.Object) {
	if s.status < 0 {
		return
	}
	a, b := reflect.ValueOf(obj).Elem(), reflect.ValueOf(old).Elem()
	if s.spec >= 0 {
		a.Field(s.spec).Set(b.Field(s.spec))
	}
	metav1.ResetObjectMetaForStatus(obj.(metav1.Object), old.(metav1.Object))
}
