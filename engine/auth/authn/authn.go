package authn

import (
	"crypto/x509"
	"errors"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

// AnonymousPaths may be asked for by anybody.
var AnonymousPaths = []string{"/healthz", "/livez", "/readyz"}

// Config lists what the server believes. ClientRoots is required.
type Config struct {
	// ClientRoots sign client certificates.
	ClientRoots *x509.CertPool
	// ServiceAccounts authenticates service account tokens (package token).
	ServiceAccounts authenticator.Token
	// Secrets of kube-system holds the bootstrap tokens; nil turns them off.
	Secrets corev1listers.SecretNamespaceLister
	// Extra authenticators come first, for example the in-process client's.
	Extra []authenticator.Request
	// Now defaults to time.Now.
	Now func() time.Time
}

// New builds the server's authenticator.
func New(cfg Config) (authenticator.Request, error) {
	if cfg.ClientRoots == nil {
		return nil, errors.New("authn: ClientRoots is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var tokens []authenticator.Token
	if cfg.ServiceAccounts != nil {
		tokens = append(tokens, cfg.ServiceAccounts)
	}
	if cfg.Secrets != nil {
		tokens = append(tokens, &bootstrapTokens{secrets: cfg.Secrets, now: cfg.Now})
	}
	chain := append([]authenticator.Request{}, cfg.Extra...)
	chain = append(chain, newCertificates(cfg.ClientRoots, cfg.Now))
	if len(tokens) > 0 {
		token := tokenunion.New(tokens...)
		chain = append(chain, bearertoken.New(token), websocket.NewProtocolAuthenticator(token))
	}
	known := group.NewAuthenticatedGroupAdder(union.New(chain...))
	return union.NewFailOnError(known, anonymous.NewAuthenticator(anonymousConditions())), nil
}

func anonymousConditions() []apiserver.AnonymousAuthCondition {
	conditions := make([]apiserver.AnonymousAuthCondition, len(AnonymousPaths))
	for i, path := range AnonymousPaths {
		conditions[i].Path = path
	}
	return conditions
}
