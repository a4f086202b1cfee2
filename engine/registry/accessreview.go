package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func (r *Registry) subjectAccessReview() *reviewREST {
	return &reviewREST{
		resource: "subjectaccessreviews", singular: "subjectaccessreview",
		new: func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authorizationv1.SubjectAccessReview)
			errs := append(validateSubject(&review.Spec), mustBeEmpty(review.ObjectMeta, "must be empty")...)
			if len(errs) > 0 {
				return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview").GroupKind(), "", errs)
			}
			return r.access(ctx, subjectOf(&review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes, &review.Status)
		},
	}
}

func (r *Registry) localSubjectAccessReview() *reviewREST {
	return &reviewREST{
		resource: "localsubjectaccessreviews", singular: "localsubjectaccessreview", namespaced: true,
		new: func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authorizationv1.LocalSubjectAccessReview)
			errs := validateSubject(&review.Spec)
			namespace, meta := review.Namespace, review.ObjectMeta
			meta.Namespace = ""
			errs = append(errs, mustBeEmpty(meta, "must be empty except for namespace")...)
			if resource := review.Spec.ResourceAttributes; resource != nil && resource.Namespace != namespace {
				errs = append(errs, field.Invalid(field.NewPath("spec", "resourceAttributes", "namespace"), resource.Namespace, "must match metadata.namespace"))
			}
			if review.Spec.NonResourceAttributes != nil {
				errs = append(errs, field.Invalid(field.NewPath("spec", "nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
			}
			if len(errs) > 0 {
				return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("LocalSubjectAccessReview").GroupKind(), "", errs)
			}
			return r.access(ctx, subjectOf(&review.Spec), review.Spec.ResourceAttributes, nil, &review.Status)
		},
	}
}

func (r *Registry) selfSubjectAccessReview() *reviewREST {
	return &reviewREST{
		resource: "selfsubjectaccessreviews", singular: "selfsubjectaccessreview",
		new: func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authorizationv1.SelfSubjectAccessReview)
			u, err := callerOf(ctx)
			if err != nil {
				return err
			}
			errs := append(validateAttributes(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes), mustBeEmpty(review.ObjectMeta, "must be empty")...)
			if len(errs) > 0 {
				return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview").GroupKind(), "", errs)
			}
			return r.access(ctx, u, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes, &review.Status)
		},
	}
}

// access asks the authorizer about one action of one user.
func (r *Registry) access(ctx context.Context, u user.Info, resource *authorizationv1.ResourceAttributes,
	path *authorizationv1.NonResourceAttributes, status *authorizationv1.SubjectAccessReviewStatus,
) error {
	authz := r.hooks.Load().Authorizer
	if authz == nil {
		return apierrors.NewInternalError(errNoAuthorizer)
	}
	attributes := attributesOf(u, resource, path)
	decision, reason, err := authz.Authorize(ctx, attributes)
	*status = authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,

		EvaluationError: evaluationError(err, attributes),
	}
	return nil
}

func attributesOf(u user.Info, resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizer.Attributes {
	if resource == nil {
		return authorizer.AttributesRecord{User: u, Verb: path.Verb, Path: path.Path}
	}
	a := authorizer.AttributesRecord{
		User: u, Verb: resource.Verb, Namespace: resource.Namespace, APIGroup: resource.Group, APIVersion: resource.Version,
		Resource: resource.Resource, Subresource: resource.Subresource, Name: resource.Name, ResourceRequest: true,
	}
	if a.APIVersion == "" {
		a.APIVersion = "*"
	}
	if s := resource.FieldSelector; s != nil {
		a.FieldSelectorRequirements, a.FieldSelectorParsingErr = fieldRequirements(s)
	}
	if s := resource.LabelSelector; s != nil {
		a.LabelSelectorRequirements, a.LabelSelectorParsingErr = labelRequirements(s)
	}
	return a
}

// evaluationError tells what of the question could not be taken into account.
func evaluationError(err error, a authorizer.Attributes) string {
	var out []string
	if err != nil {
		out = append(out, err.Error())
	}
	fields, fieldErr := a.GetFieldSelector()
	labels, labelErr := a.GetLabelSelector()
	for _, s := range []struct {
		name string
		some bool
		err  error
	}{{"field", len(fields) > 0, fieldErr}, {"label", len(labels) > 0, labelErr}} {
		switch {
		case s.err == nil:
		case s.some:
			out = append(out, "spec.resourceAttributes."+s.name+"Selector partially ignored due to parse error")
		default:
			out = append(out, "spec.resourceAttributes."+s.name+"Selector ignored due to parse error")
		}
	}
	return strings.Join(out, "; ")
}

func validateSubject(spec *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes)
	if spec.User == "" && len(spec.Groups) == 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "user"), spec.User, "at least one of user or group must be specified"))
	}
	return errs
}

func validateAttributes(resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) field.ErrorList {
	spec := field.NewPath("spec")
	if (resource == nil) == (path == nil) {
		return field.ErrorList{field.Invalid(spec, path, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	}
	if resource == nil {
		return nil
	}
	at := spec.Child("resourceAttributes")
	var errs field.ErrorList
	if s := resource.FieldSelector; s != nil {
		errs = append(errs, validateSelector(at.Child("fieldSelector"), s.RawSelector, len(s.Requirements), func(i int, at *field.Path) field.ErrorList {
			return metav1validation.ValidateFieldSelectorRequirement(s.Requirements[i], metav1validation.FieldSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}, at)
		})...)
	}
	if s := resource.LabelSelector; s != nil {
		errs = append(errs, validateSelector(at.Child("labelSelector"), s.RawSelector, len(s.Requirements), func(i int, at *field.Path) field.ErrorList {
			return metav1validation.ValidateLabelSelectorRequirement(s.Requirements[i], metav1validation.LabelSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}, at)
		})...)
	}
	return errs
}

// validateSelector wants either a raw selector or requirements.
func validateSelector(at *field.Path, raw string, requirements int, validate func(i int, at *field.Path) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	switch {
	case raw != "" && requirements > 0:
		errs = append(errs, field.Invalid(at.Child("rawSelector"), raw, "may not specified at the same time as requirements"))
	case raw == "" && requirements == 0:
		errs = append(errs, field.Required(at.Child("requirements"), fmt.Sprintf("when %s is specified, requirements or rawSelector is required", at)))
	}
	for i := range requirements {
		errs = append(errs, validate(i, at.Child("requirements").Index(i))...)
	}
	return errs
}

// mustBeEmpty: a question is not an object, so it has no metadata.
func mustBeEmpty(meta metav1.ObjectMeta, detail string) field.ErrorList {
	meta.ManagedFields = nil
	if equality.Semantic.DeepEqual(meta, metav1.ObjectMeta{}) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), meta, detail)}
}

// fieldRequirements are those of a field selector that can be understood; the error
// names the others, without which the question is a broader one.
func fieldRequirements(s *authorizationv1.FieldSelectorAttributes) (fields.Requirements, error) {
	if s.RawSelector != "" {
		selector, err := fields.ParseSelector(s.RawSelector)
		if err != nil {
			return nil, err
		}
		return selector.Requirements(), nil
	}
	operators := map[metav1.FieldSelectorOperator]selection.Operator{metav1.FieldSelectorOpIn: selection.Equals, metav1.FieldSelectorOpNotIn: selection.NotEquals}
	var out fields.Requirements
	var errs []error
	for _, r := range s.Requirements {
		operator, ok := operators[r.Operator]
		if !ok || len(r.Values) != 1 {
			errs = append(errs, fmt.Errorf("field selectors do not support %q of %d values", r.Operator, len(r.Values)))
			continue
		}
		out = append(out, fields.Requirement{Field: r.Key, Operator: operator, Value: r.Values[0]})
	}
	return out, errors.Join(errs...)
}

// labelRequirements is fieldRequirements for labels.
func labelRequirements(s *authorizationv1.LabelSelectorAttributes) (labels.Requirements, error) {
	if s.RawSelector != "" {
		selector, err := labels.Parse(s.RawSelector)
		if err != nil {
			return nil, err
		}
		requirements, _ := selector.Requirements()
		return requirements, nil
	}
	operators := map[metav1.LabelSelectorOperator]selection.Operator{
		metav1.LabelSelectorOpIn: selection.In, metav1.LabelSelectorOpNotIn: selection.NotIn,
		metav1.LabelSelectorOpExists: selection.Exists, metav1.LabelSelectorOpDoesNotExist: selection.DoesNotExist,
	}
	var out labels.Requirements
	var errs []error
	for _, r := range s.Requirements {
		requirement, err := labels.NewRequirement(r.Key, operators[r.Operator], r.Values)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, *requirement)
	}
	return out, errors.Join(errs...)
}

func subjectOf(spec *authorizationv1.SubjectAccessReviewSpec) user.Info {
	extra := map[string][]string{}
	for k, v := range spec.Extra {
		extra[k] = v
	}
	return &user.DefaultInfo{Name: spec.User, Groups: spec.Groups, UID: spec.UID, Extra: extra}
}
