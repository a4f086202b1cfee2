package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

var _ rest.DeclarativeValidationStrategy = strategy{}

// DeclarativeValidationConfig implements rest.DeclarativeValidationStrategy.
func (s strategy) DeclarativeValidationConfig(_ context.Context, _, _ runtime.Object) rest.DeclarativeValidationConfig {
	return rest.DeclarativeValidationConfig{Options: s.row.Rules.DeclaredOptions, NormalizationRules: s.row.Rules.DeclaredPaths}
}

// ValidateDeclaratively adds what the tags of the kind's type declare to the errors
// of its rules. Unlike upstream's, it looks at the hub type as it is, without a
// copy, unless the request came in another version.
func (s strategy) ValidateDeclaratively(ctx context.Context, obj, old runtime.Object, errs field.ErrorList, op operation.Type,
	config rest.DeclarativeValidationConfig,
) field.ErrorList {
	obj, err := s.asRequested(ctx, obj)
	if err != nil {
		return append(errs, field.InternalError(nil, err))
	}
	var parts []string
	if s.part != "" {
		parts = []string{s.part}
	}
	var declared field.ErrorList
	if op == operation.Create {
		declared = s.scheme.Validate(ctx, config.Options, obj, parts...)
	} else {
		if old, err = s.asRequested(ctx, old); err != nil {
			return append(errs, field.InternalError(nil, err))
		}
		declared = s.scheme.ValidateUpdate(ctx, config.Options, obj, old, parts...)
	}
	enforced := validate.FilterEnforcedDeclarativeErrors(ctx, declared, true)
	return append(withoutCovered(errs, enforced, config.NormalizationRules), enforced...)
}

// asRequested gives an object the version of the request.
func (s strategy) asRequested(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	info, ok := request.RequestInfoFrom(ctx)
	if !ok || len(s.row.OtherVersions) == 0 {
		return obj, nil
	}
	gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
	for _, other := range s.row.OtherVersions {
		if other.GroupVersion() == gv {
			return s.scheme.ConvertToVersion(obj, gv)
		}
	}
	return obj, nil
}

// withoutCovered drops repetitions, and errors that the declared ones tell as well.
// An invalid value may be wrong in several ways: there the way must be the same, too.
func withoutCovered(errs, declared field.ErrorList, paths []field.NormalizationRule) field.ErrorList {
	matcher := field.ErrorMatcher{}.ByType().ByFieldNormalized(paths)
	covered := func(err *field.Error) bool {
		for _, d := range declared {
			if !d.IsBeta() || !matcher.Matches(err, d) {
				continue
			}
			if err.Type != field.ErrorTypeInvalid || err.Detail == d.Detail || err.Origin != "" && err.Origin == d.Origin {
				return true
			}
		}
		return false
	}
	seen := sets.New[string]()
	var kept field.ErrorList
	for _, err := range errs {
		if text := err.Error(); !seen.Has(text) && !covered(err) {
			seen.Insert(text)
			kept = append(kept, err)
		}
	}
	return kept
}
