package auth

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func reviews() suite.Case {
	return suite.Case{
		Name:    "auth/reviews",
		Promise: "access reviews answer for nodes, selectors and namespaces as the authorizers decide, and refuse questions that make no sense",
		Run: func(ctx context.Context, e *suite.Env) error {
			ask := func(spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
				got, err := e.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
				if err != nil {
					return authorizationv1.SubjectAccessReviewStatus{}, err
				}
				return got.Status, nil
			}
			pods := func(selector *authorizationv1.FieldSelectorAttributes) *authorizationv1.ResourceAttributes {
				return &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods", FieldSelector: selector}
			}
			requirement := func(op metav1.FieldSelectorOperator, values ...string) *authorizationv1.FieldSelectorAttributes {
				return &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{{Key: "spec.nodeName", Operator: op, Values: values}}}
			}
			const unselected = "node: can only list/watch pods with spec.nodeName field selector"
			for _, tc := range []struct {
				selector           *authorizationv1.FieldSelectorAttributes
				allowed            bool
				reason, incomplete string
			}{
				{nil, false, unselected, ""},
				{&authorizationv1.FieldSelectorAttributes{RawSelector: "spec.nodeName=a"}, true, "", ""},
				{requirement("In", "a"), true, "", ""},
				{requirement("In", "b"), false, unselected, ""},
				{requirement("In", "a", "b"), false, unselected, "spec.resourceAttributes.fieldSelector ignored due to parse error"},
				{requirement("NotIn", "a"), false, unselected, ""},
			} {
				got, err := ask(authorizationv1.SubjectAccessReviewSpec{User: "system:node:a", Groups: []string{"system:nodes"}, ResourceAttributes: pods(tc.selector)})
				if err != nil {
					return err
				}
				if got.Allowed != tc.allowed || got.Reason != tc.reason || got.EvaluationError != tc.incomplete {
					return fmt.Errorf("a node's list of pods with %+v: %+v", tc.selector, got)
				}
			}
			got, err := ask(authorizationv1.SubjectAccessReviewSpec{User: "u", Groups: []string{"system:authenticated"},
				NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/version", Verb: "get"}})
			if err != nil {
				return err
			}
			if !got.Allowed {
				return fmt.Errorf("the version: %+v", got)
			}
			for _, spec := range []authorizationv1.SubjectAccessReviewSpec{
				{User: "u"},
				{ResourceAttributes: pods(nil)},
				{User: "u", ResourceAttributes: pods(&authorizationv1.FieldSelectorAttributes{})},
				{User: "u", ResourceAttributes: pods(requirement("In"))},
			} {
				if _, err := ask(spec); !apierrors.IsInvalid(err) {
					return fmt.Errorf("the question %+v: %v", spec, err)
				}
			}
			other := &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace},
				Spec: authorizationv1.SubjectAccessReviewSpec{User: "u", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "get", Resource: "pods"}}}
			if _, err := e.Kube.AuthorizationV1().LocalSubjectAccessReviews(e.Namespace).Create(ctx, other, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
				return fmt.Errorf("a local question about another namespace: %v", err)
			}
			return nil
		},
	}
}
