package registry

import (
	"context"
	"errors"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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

// errInvalidToken is what is told of a token that nobody knows.
var errInvalidToken = errors.New("invalid bearer token")

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
			if !ok && err == nil {
				err = errInvalidToken
			}
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
			review.Spec = authorizationv1.SelfSubjectRulesReviewSpec{}
			review.Status = rulesStatus(resources, paths, incomplete, err)
			return nil
		},
	}
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
