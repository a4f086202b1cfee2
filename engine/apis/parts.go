package apis

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Parts tells apart the spec and the status of a kind, and offers the three
// preparations that most kinds with a status subresource share.
type Parts[T object, S, U any] struct {
	Spec   func(T) *S
	Status func(T) *U
	// AnnotationsCount says that a change of annotations also bumps generation.
	AnnotationsCount bool
	// NoGeneration leaves metadata.generation alone.
	NoGeneration bool
	// KeepLabels says that the status endpoint may not change labels.
	KeepLabels bool
}

type object interface {
	runtime.Object
	metav1.Object
}

// Create empties the status and starts counting generations.
func (p Parts[T, S, U]) Create(_ context.Context, obj T) {
	var empty U
	*p.Status(obj) = empty
	if !p.NoGeneration {
		obj.SetGeneration(1)
	}
}

// Update keeps the old status and counts a new generation if the spec changed.
func (p Parts[T, S, U]) Update(_ context.Context, obj, old T) {
	*p.Status(obj) = *p.Status(old)
	if p.NoGeneration {
		return
	}
	changed := !equality.Semantic.DeepEqual(p.Spec(obj), p.Spec(old)) ||
		p.AnnotationsCount && !equality.Semantic.DeepEqual(obj.GetAnnotations(), old.GetAnnotations())
	if changed {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// UpdateStatus keeps the old spec.
func (p Parts[T, S, U]) UpdateStatus(_ context.Context, obj, old T) {
	*p.Spec(obj) = *p.Spec(old)
	if p.KeepLabels {
		obj.SetLabels(old.GetLabels())
	}
}

// CountGenerations gives the create and update preparation of a kind that has a
// generation and no status: changed reports whether the two differ in what counts.
func CountGenerations[T object](changed func(obj, old T) bool) (create func(context.Context, T), update func(ctx context.Context, obj, old T)) {
	create = func(_ context.Context, obj T) { obj.SetGeneration(1) }
	update = func(_ context.Context, obj, old T) {
		if changed(obj, old) {
			obj.SetGeneration(old.GetGeneration() + 1)
		}
	}
	return create, update
}
