package registry

import (
	"context"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Hooks are what the registry calls upon of the rest of the server. A hook left
// nil makes what needs it answer "not available".
type Hooks struct {
	// Tokens authenticates the tokens of TokenReviews.
	Tokens authenticator.Token
	// APIAudiences are assumed where a TokenReview names none.
	APIAudiences authenticator.Audiences
	// Authorizer answers access reviews.
	Authorizer authorizer.Authorizer
	// Rules lists what a user may do, for rules reviews.
	Rules authorizer.RuleResolver
	// TokenIssuer signs service account tokens.
	TokenIssuer TokenIssuer
	// NodeTransport reaches node agents: its TLS configuration holds the client
	// certificate and the CA of their serving certificates.
	NodeTransport *http.Transport
}

// TokenIssuer answers the TokenRequest of a service account. Its errors are API
// errors.
type TokenIssuer interface {
	Issue(ctx context.Context, namespace, name string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
}
