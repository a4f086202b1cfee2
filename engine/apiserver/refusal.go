package apiserver

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// noted tells what an authorizer does not allow. It stands before the requests
// themselves only: questions such as SubjectAccessReviews refuse nothing.
type noted struct {
	authorizer.UnconditionalAuthorizer
	note func(a authorizer.Attributes, reason string)
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (n noted) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason, err := n.UnconditionalAuthorizer.Authorize(ctx, a)
	if decision != authorizer.DecisionAllow && n.note != nil {
		if err != nil {
			reason = err.Error()
		}
		n.note(a, reason)
	}
	return decision, reason, err
}
