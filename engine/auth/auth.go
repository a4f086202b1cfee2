// Package auth puts the authorizers of the server together: the administrators'
// group, then the node authorizer, then roles. What each decides is in its own
// package; authentication is in authn and token, keys are in pki, the default
// roles in bootstrap.
package auth

import (
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/client-go/informers"

	"github.com/pintle-io/pintle/engine/auth/bootstrap"
	"github.com/pintle-io/pintle/engine/auth/node"
	"github.com/pintle-io/pintle/engine/auth/rbac"
)

// Authorization is what the server needs to answer whether somebody may.
type Authorization struct {
	authorizer.Authorizer
	authorizer.RuleResolver
	// Guard refuses grants beyond what the granter holds; it belongs into the
	// admission chain.
	Guard admission.ValidationInterface
}

// NewAuthorization builds the chain over the factory's informers; the caller
// starts the factory.
func NewAuthorization(factory informers.SharedInformerFactory) (*Authorization, error) {
	view, err := node.NewView(factory)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	roles := rbac.New(factory)
	chain, err := union.New(
		union.NamedAuthorizer{AuthorizerName: "masters", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		union.NamedAuthorizer{AuthorizerName: "node", Authorizer: node.New(view, bootstrap.NodeRules())},
		union.NamedAuthorizer{AuthorizerName: "rbac", Authorizer: roles},
	)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return &Authorization{Authorizer: chain, RuleResolver: roles, Guard: rbac.NewGuard(roles, chain)}, nil
}
