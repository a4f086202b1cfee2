package apiserver_test

import (
	"context"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
)

// readers lets everybody read pods and nothing else.
type readers struct{}

func (readers) allows(a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetResource() == "pods" && a.GetVerb() == "get" {
		return authorizer.DecisionAllow, "readers read", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// RulesFor implements authorizer.RuleResolver.
func (readers) RulesFor(context.Context, user.Info, string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	rule := &authorizer.DefaultResourceRuleInfo{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	return []authorizer.ResourceRuleInfo{rule}, nil, false, nil
}

type tokens struct{}

// AuthenticateToken knows the token "good".
func (tokens) AuthenticateToken(_ context.Context, token string) (*authenticator.Response, bool, error) {
	if token != "good" {
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: "somebody", Groups: []string{"g"}}}, true, nil
}

func TestReviews(t *testing.T) {
	e := start(t, func(r *registry.Config, _ *apiserver.Config) {
		r.Hooks = registry.Hooks{
			Tokens: tokens{}, Rules: readers{},
			Authorizer: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
				return readers{}.allows(a)
			}),
		}
	})
	for _, test := range []struct {
		verb    string
		allowed bool
	}{{"get", true}, {"delete", false}} {
		review, err := e.kube.AuthorizationV1().SubjectAccessReviews().Create(e.ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "somebody", ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: test.verb, Resource: "pods"},
			},
		}, metav1.CreateOptions{})
		if err != nil || review.Status.Allowed != test.allowed {
			t.Errorf("%s: %+v %v", test.verb, review.Status, err)
		}
	}
	_, err := e.kube.AuthorizationV1().SubjectAccessReviews().Create(e.ctx, &authorizationv1.SubjectAccessReview{}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		t.Errorf("empty review: %v", err)
	}
	local, err := e.kube.AuthorizationV1().LocalSubjectAccessReviews("a").Create(e.ctx, &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "somebody", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "a", Verb: "get", Resource: "pods"},
		},
	}, metav1.CreateOptions{})
	if err != nil || !local.Status.Allowed {
		t.Errorf("local: %v", err)
	}
	rules, err := e.kube.AuthorizationV1().SelfSubjectRulesReviews().Create(e.ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "a"},
	}, metav1.CreateOptions{})
	if err != nil || len(rules.Status.ResourceRules) != 1 || rules.Status.ResourceRules[0].Verbs[0] != "get" {
		t.Errorf("rules: %+v %v", rules, err)
	}
	for token, good := range map[string]bool{"good": true, "bad": false} {
		review, err := e.kube.AuthenticationV1().TokenReviews().Create(e.ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token},
		}, metav1.CreateOptions{})
		if err != nil || review.Status.Authenticated != good {
			t.Errorf("token %s: %+v %v", token, review.Status, err)
		}
	}
	self, err := e.kube.AuthenticationV1().SelfSubjectReviews().Create(e.ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || self.Status.UserInfo.Username != "admin" {
		t.Errorf("self: %+v %v", self, err)
	}
}
