package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// reviewREST serves a kind that can only be created: a question, answered in the
// object that comes back, and never stored.
type reviewREST struct {
	resource, singular string
	namespaced         bool
	new                func() runtime.Object
	// answer fills the status of obj. Validation errors of it are API errors.
	answer func(ctx context.Context, obj runtime.Object) error
}

var (
	_ rest.Creater              = (*reviewREST)(nil)
	_ rest.Scoper               = (*reviewREST)(nil)
	_ rest.SingularNameProvider = (*reviewREST)(nil)
)

// New implements rest.Storage.
func (s *reviewREST) New() runtime.Object { return s.new() }

// Destroy implements rest.Storage.
func (*reviewREST) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (s *reviewREST) NamespaceScoped() bool { return s.namespaced }

// GetSingularName implements rest.SingularNameProvider.
func (s *reviewREST) GetSingularName() string { return s.singular }

// Create answers the question.
func (s *reviewREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := s.answer(ctx, obj); err != nil {
		return nil, err
	}
	return obj, nil
}

var errNoAuthorizer = errors.New("no authorizer is configured")

func (r *Registry) tokenReview() *reviewREST {
	return &reviewREST{
		resource: "tokenreviews", singular: "tokenreview",
		new: func() runtime.Object { return &authenticationv1.TokenReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authenticationv1.TokenReview)
			if review.Spec.Token == "" {
				return apierrors.NewBadRequest("token is required for TokenReview in authentication")
			}
			hooks := r.hooks.Load()
			if hooks.Tokens == nil {
				return nil
			}
			audiences := authenticator.Audiences(review.Spec.Audiences)
			if len(audiences) == 0 {
				audiences = hooks.APIAudiences
			}
			if len(audiences) > 0 {
				ctx = authenticator.WithAudiences(ctx, audiences)
			}
			response, ok, err := hooks.Tokens.AuthenticateToken(ctx, review.Spec.Token)
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: ok && response != nil && response.User != nil}
			if err != nil {
				review.Status.Error = err.Error()
			}
			if !review.Status.Authenticated {
				return nil
			}
			review.Status.User = userInfo(response.User)
			review.Status.Audiences = response.Audiences
			if len(review.Status.Audiences) == 0 {
				review.Status.Audiences = slices.Clone(review.Spec.Audiences)
			}
			return nil
		},
	}
}

func (r *Registry) selfSubjectReview() *reviewREST {
	return &reviewREST{
		resource: "selfsubjectreviews", singular: "selfsubjectreview",
		new: func() runtime.Object { return &authenticationv1.SelfSubjectReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			u, err := callerOf(ctx)
			if err != nil {
				return err
			}
			obj.(*authenticationv1.SelfSubjectReview).Status.UserInfo = userInfo(u)
			return nil
		},
	}
}

func (r *Registry) subjectAccessReview() *reviewREST {
	return &reviewREST{
		resource: "subjectaccessreviews", singular: "subjectaccessreview",
		new: func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authorizationv1.SubjectAccessReview)
			if errs := validateSubject(&review.Spec); len(errs) > 0 {
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
			if review.Spec.NonResourceAttributes != nil {
				errs = append(errs, field.Invalid(field.NewPath("spec", "nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
			}
			if len(errs) > 0 {
				return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("LocalSubjectAccessReview").GroupKind(), "", errs)
			}
			namespace := request.NamespaceValue(ctx)
			if namespace == "" {
				return apierrors.NewBadRequest(fmt.Sprintf("namespace is required on this type: %v", namespace))
			}
			if namespace != review.Spec.ResourceAttributes.Namespace {
				return apierrors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace must match namespace: %v", namespace))
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
			if errs := validateAttributes(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes); len(errs) > 0 {
				return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview").GroupKind(), "", errs)
			}
			return r.access(ctx, u, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes, &review.Status)
		},
	}
}

func (r *Registry) selfSubjectRulesReview() *reviewREST {
	return &reviewREST{
		resource: "selfsubjectrulesreviews", singular: "selfsubjectrulesreview",
		new: func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
		answer: func(ctx context.Context, obj runtime.Object) error {
			review := obj.(*authorizationv1.SelfSubjectRulesReview)
			u, err := callerOf(ctx)
			if err != nil {
				return err
			}
			if review.Spec.Namespace == "" {
				return apierrors.NewBadRequest("no namespace on request")
			}
			rules := r.hooks.Load().Rules
			if rules == nil {
				return apierrors.NewInternalError(errNoAuthorizer)
			}
			resources, paths, incomplete, err := rules.RulesFor(ctx, u, review.Spec.Namespace)
			review.Status = rulesStatus(resources, paths, incomplete, err)
			return nil
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
	decision, reason, err := authz.Authorize(ctx, attributesOf(u, resource, path))
	*status = authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
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
	if s := resource.FieldSelector; s != nil && s.RawSelector != "" {
		selector, err := fields.ParseSelector(s.RawSelector)
		if a.FieldSelectorParsingErr = err; err == nil {
			a.FieldSelectorRequirements = selector.Requirements()
		}
	}
	if s := resource.LabelSelector; s != nil && s.RawSelector != "" {
		selector, err := labels.Parse(s.RawSelector)
		if a.LabelSelectorParsingErr = err; err == nil {
			a.LabelSelectorRequirements, _ = selector.Requirements()
		}
	}
	return a
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
	switch {
	case resource != nil && path != nil:
		return field.ErrorList{field.Invalid(spec.Child("nonResourceAttributes"), path, "cannot be specified in combination with resourceAttributes")}
	case resource == nil && path == nil:
		return field.ErrorList{field.Invalid(spec.Child("resourceAttributes"), resource, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	}
	return nil
}

func subjectOf(spec *authorizationv1.SubjectAccessReviewSpec) user.Info {
	extra := map[string][]string{}
	for k, v := range spec.Extra {
		extra[k] = v
	}
	return &user.DefaultInfo{Name: spec.User, Groups: spec.Groups, UID: spec.UID, Extra: extra}
}

func userInfo(u user.Info) authenticationv1.UserInfo {
	info := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for k, v := range u.GetExtra() {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[k] = v
	}
	return info
}

func callerOf(ctx context.Context) (user.Info, error) {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	return u, nil
}

func rulesStatus(resources []authorizer.ResourceRuleInfo, paths []authorizer.NonResourceRuleInfo, incomplete bool, err error) authorizationv1.SubjectRulesReviewStatus {
	status := authorizationv1.SubjectRulesReviewStatus{
		ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}, Incomplete: incomplete,
	}
	for _, rule := range resources {
		status.ResourceRules = append(status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.GetVerbs(), APIGroups: rule.GetAPIGroups(), Resources: rule.GetResources(), ResourceNames: rule.GetResourceNames(),
		})
	}
	for _, rule := range paths {
		status.NonResourceRules = append(status.NonResourceRules, authorizationv1.NonResourceRule{
			Verbs: rule.GetVerbs(), NonResourceURLs: rule.GetNonResourceURLs(),
		})
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status
}
