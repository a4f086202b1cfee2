package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
)

// strategy presents the Rules of a row to upstream's store. A rule left nil gets
// the behaviour that follows from the kind's shape (see shape).
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	row    *apis.Resource
	shape  shape
	scheme *runtime.Scheme
	// part is the subresource written through, empty for the whole.
	part string
}

var (
	_ rest.RESTCreateStrategy              = strategy{}
	_ rest.RESTUpdateStrategy              = strategy{}
	_ rest.RESTGracefulDeleteStrategy      = strategy{}
	_ rest.GarbageCollectionDeleteStrategy = strategy{}
	_ rest.ResetFieldsStrategy             = strategy{}
	_ rest.RESTUpdateStrategy              = statusStrategy{}
)

func newStrategy(scheme *runtime.Scheme, row *apis.Resource) strategy {
	return strategy{ObjectTyper: scheme, NameGenerator: names.SimpleNameGenerator, row: row, shape: shapeOf(row), scheme: scheme}
}

// of gives the strategy of a subresource.
func (s strategy) of(part string) strategy {
	s.part = part
	return s
}

func (s strategy) NamespaceScoped() bool { return s.row.Namespaced }

func (s strategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	if f := s.row.Rules.PrepareForCreate; f != nil {
		f(ctx, obj)
		return
	}
	s.shape.prepareForCreate(obj)
}

func (s strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	if f := s.row.Rules.Validate; f != nil {
		return brief(f(ctx, obj))
	}
	return nil
}

func (s strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	if f := s.row.Rules.WarningsOnCreate; f != nil {
		return f(ctx, obj)
	}
	return nil
}

func (strategy) Canonicalize(runtime.Object) {}

func (s strategy) AllowCreateOnUpdate(context.Context) bool { return s.row.Rules.CreateOnUpdate }

func (s strategy) AllowUnconditionalUpdate(context.Context) bool {
	return !s.row.Rules.ForbidUnconditionalUpdate
}

func (s strategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if f := s.row.Rules.PrepareForUpdate; f != nil {
		f(ctx, obj, old)
		return
	}
	s.shape.prepareForUpdate(obj, old)
}

func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if f := s.row.Rules.ValidateUpdate; f != nil {
		return brief(f(ctx, obj, old))
	}
	return nil
}

func (s strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if f := s.row.Rules.WarningsOnUpdate; f != nil {
		return f(ctx, obj, old)
	}
	return nil
}

func (s strategy) CheckGracefulDelete(ctx context.Context, obj runtime.Object, options *metav1.DeleteOptions) bool {
	if f := s.row.Rules.CheckGracefulDelete; f != nil {
		return f(ctx, obj, options)
	}
	return false
}

func (s strategy) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	if s.row.Rules.DefaultOrphan {
		return rest.OrphanDependents
	}
	return rest.DeleteDependents
}

// GetResetFields names, per served version, what the main endpoint ignores.
func (s strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	set := s.row.Rules.ResetFields
	if set == nil {
		if !s.row.HasStatus {
			return nil
		}
		set = fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	}
	return perVersion(s.row, set)
}

// statusStrategy updates through the status subresource.
type statusStrategy struct{ strategy }

func (statusStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s statusStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if f := s.row.Rules.PrepareForStatusUpdate; f != nil {
		f(ctx, obj, old)
		return
	}
	s.shape.prepareForStatusUpdate(obj, old)
}

func (s statusStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if f := s.row.Rules.ValidateStatusUpdate; f != nil {
		return brief(f(ctx, obj, old))
	}
	return nil
}

func (statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	set := s.row.Rules.ResetStatusFields
	if set == nil {
		set = fieldpath.NewSet(fieldpath.MakePathOrDie("spec"))
	}
	return perVersion(s.row, set)
}

func perVersion(row *apis.Resource, set *fieldpath.Set) map[fieldpath.APIVersion]*fieldpath.Set {
	out := map[fieldpath.APIVersion]*fieldpath.Set{fieldpath.APIVersion(row.GVK.GroupVersion().String()): set}
	for _, other := range row.OtherVersions {
		out[fieldpath.APIVersion(other.GroupVersion().String())] = set
	}
	return out
}
