// Package apis owns the vocabulary in which every served kind is described: one
// Resource row per kind, with the Rules (defaults, validation, what an update
// may change) and the Columns of its table output. It never touches the store or
// the network; rows are values, read-only once the served table is built.
package apis

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Resource is one row of the served table: everything the registry, discovery
// and the printers need to know about a kind. The hub version (the Go type the
// rules see, and the version that is stored) is GVK.Version.
type Resource struct {
	GVK        schema.GroupVersionKind
	Plural     string
	Singular   string
	ShortNames []string
	Categories []string
	Namespaced bool

	New     func() runtime.Object
	NewList func() runtime.Object

	Rules   Rules
	Columns []Column

	// Fields are the selectable fields beyond metadata.name and
	// metadata.namespace; nil means there are none.
	Fields func(obj runtime.Object) fields.Set

	// HasStatus serves the status subresource.
	HasStatus bool
	// Scale, if set, serves the scale subresource.
	Scale *Scale
	// ReturnsDeleted answers a delete with the object as it was, not with a Status.
	ReturnsDeleted bool
	// OtherVersions are further versions this kind is served in; the scheme
	// must know conversions between them and the hub type.
	OtherVersions []schema.GroupVersionKind
}

// GVR names the resource in its hub version.
func (r *Resource) GVR() schema.GroupVersionResource {
	return r.GVK.GroupVersion().WithResource(r.Plural)
}

// Rules are the per-kind decisions of a write. Every field may be nil. All are
// pure but for changing the object they are given; old is never changed.
type Rules struct {
	// Default fills unset fields; it runs on every decode of a request body,
	// before admission.
	Default func(obj runtime.Object)
	// PrepareForCreate drops what a client may not set (status) and sets what
	// the server owns (generation).
	PrepareForCreate func(ctx context.Context, obj runtime.Object)
	// PrepareForUpdate keeps status from old and bumps generation as upstream does.
	PrepareForUpdate func(ctx context.Context, obj, old runtime.Object)
	// PrepareForStatusUpdate keeps spec and metadata of old.
	PrepareForStatusUpdate func(ctx context.Context, obj, old runtime.Object)

	Validate             func(ctx context.Context, obj runtime.Object) field.ErrorList
	ValidateUpdate       func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	ValidateStatusUpdate func(ctx context.Context, obj, old runtime.Object) field.ErrorList

	WarningsOnCreate func(ctx context.Context, obj runtime.Object) []string
	WarningsOnUpdate func(ctx context.Context, obj, old runtime.Object) []string

	// DeclaredOptions are the features that the tags of the type name, and whether
	// they are on. DeclaredPaths make paths of rules and of tags comparable where
	// they differ.
	DeclaredOptions map[string]bool
	DeclaredPaths   []field.NormalizationRule

	// CreateOnUpdate allows PUT to create (Lease, for example).
	CreateOnUpdate bool
	// ForbidUnconditionalUpdate refuses a PUT without a resourceVersion.
	ForbidUnconditionalUpdate bool
	// CheckGracefulDelete adjusts the options of a delete and reports whether
	// it is graceful (pods).
	CheckGracefulDelete func(ctx context.Context, obj runtime.Object, options *metav1.DeleteOptions) bool
	// DefaultOrphan: deletion without a propagation policy orphans dependents.
	DefaultOrphan bool

	// ResetFields are the fields the main endpoint resets, for server-side apply;
	// ResetStatusFields those of the status endpoint. nil selects
	// {status} and {spec, metadata.labels ...}, the usual pair.
	ResetFields, ResetStatusFields *fieldpath.Set
}

// Column is one column of the Table form. Priority 0 is always shown, 1 only in
// wide output. Cell returns a JSON scalar.
type Column struct {
	Name        string
	Type        string // string, integer, number, boolean, date
	Format      string
	Description string
	Priority    int32
	Cell        func(obj runtime.Object) any
}

// Scale maps a kind to autoscaling/v1 Scale. Replicas and Selector read the
// object; SetReplicas changes the object given.
type Scale struct {
	Replicas     func(obj runtime.Object) (spec, status int32)
	Selector     func(obj runtime.Object) string
	SetReplicas  func(obj runtime.Object, replicas int32)
	ReplicasPath fieldpath.Path
}

// TypedRules are Rules written against the hub type T; see Rules for each field.
type TypedRules[T runtime.Object] struct {
	Default                func(obj T)
	PrepareForCreate       func(ctx context.Context, obj T)
	PrepareForUpdate       func(ctx context.Context, obj, old T)
	PrepareForStatusUpdate func(ctx context.Context, obj, old T)
	Validate               func(ctx context.Context, obj T) field.ErrorList
	ValidateUpdate         func(ctx context.Context, obj, old T) field.ErrorList
	ValidateStatusUpdate   func(ctx context.Context, obj, old T) field.ErrorList
	WarningsOnCreate       func(ctx context.Context, obj T) []string
	WarningsOnUpdate       func(ctx context.Context, obj, old T) []string
	CheckGracefulDelete    func(ctx context.Context, obj T, options *metav1.DeleteOptions) bool
}

// Rules erases the type. Fields outside TypedRules are left for the caller.
func (t TypedRules[T]) Rules() Rules {
	var r Rules
	if f := t.Default; f != nil {
		r.Default = func(o runtime.Object) { f(o.(T)) }
	}
	if f := t.PrepareForCreate; f != nil {
		r.PrepareForCreate = func(ctx context.Context, o runtime.Object) { f(ctx, o.(T)) }
	}
	r.PrepareForUpdate = erasePair(t.PrepareForUpdate)
	r.PrepareForStatusUpdate = erasePair(t.PrepareForStatusUpdate)
	if f := t.Validate; f != nil {
		r.Validate = func(ctx context.Context, o runtime.Object) field.ErrorList { return f(ctx, o.(T)) }
	}
	r.ValidateUpdate = erasePairResult(t.ValidateUpdate)
	r.ValidateStatusUpdate = erasePairResult(t.ValidateStatusUpdate)
	if f := t.WarningsOnCreate; f != nil {
		r.WarningsOnCreate = func(ctx context.Context, o runtime.Object) []string { return f(ctx, o.(T)) }
	}
	r.WarningsOnUpdate = erasePairResult(t.WarningsOnUpdate)
	if f := t.CheckGracefulDelete; f != nil {
		r.CheckGracefulDelete = func(ctx context.Context, o runtime.Object, opts *metav1.DeleteOptions) bool {
			return f(ctx, o.(T), opts)
		}
	}
	return r
}

func erasePair[T runtime.Object](f func(ctx context.Context, obj, old T)) func(context.Context, runtime.Object, runtime.Object) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, obj, old runtime.Object) { f(ctx, obj.(T), old.(T)) }
}

func erasePairResult[T runtime.Object, R any](f func(ctx context.Context, obj, old T) R) func(context.Context, runtime.Object, runtime.Object) R {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, obj, old runtime.Object) R { return f(ctx, obj.(T), old.(T)) }
}
