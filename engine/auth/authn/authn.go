package authn

import (
	"crypto/x509"
	"errors"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/authentication/user"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

// AnonymousPaths may be asked for by anybody, unless configured otherwise.
var AnonymousPaths = []string{"/healthz", "/livez", "/readyz"}

// tokenCacheTTL is how long a token that was found good is taken without asking
// again.
const tokenCacheTTL = 10 * time.Second

// Config lists what the server believes. ClientRoots is required.
type Config struct {
	// ClientRoots sign client certificates.
	ClientRoots *x509.CertPool
	// RequestHeader says which proxies may speak for others; nil for none.
	RequestHeader *authenticatorfactory.RequestHeaderConfig
	// ServiceAccounts authenticates service account tokens (package token).
	ServiceAccounts authenticator.Token
	// Secrets of kube-system holds the bootstrap tokens; nil turns them off.
	Secrets corev1listers.SecretNamespaceLister
	// Issuers and Webhook know further tokens; both may be nil.
	Issuers, Webhook authenticator.Token
	// Audiences are assumed for credentials that are for no audience in particular.
	Audiences authenticator.Audiences
	// Anonymous says who may ask without credentials; nil allows AnonymousPaths.
	Anonymous *apiserver.AnonymousAuthConfig
	// Extra authenticators come first, for example the in-process client's.
	Extra []authenticator.Request
	// Now defaults to time.Now.
	Now func() time.Time
}

// Authenticators are the two ways to ask who somebody is.
type Authenticators struct {
	// Request authenticates requests.
	Request authenticator.Request
	// Token authenticates bearer tokens, as TokenReviews ask; nil if there are none.
	Token authenticator.Token
}

// New builds the server's authenticators.
func New(cfg Config) (Authenticators, error) {
	if cfg.ClientRoots == nil {
		return Authenticators{}, errors.New("authn: ClientRoots is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	chain := append([]authenticator.Request{}, cfg.Extra...)
	if h := cfg.RequestHeader; h != nil {
		proxy := headerrequest.NewDynamicVerifyOptionsSecure(h.CAContentProvider.VerifyOptions,
			h.AllowedClientNames, h.UsernameHeaders, h.UIDHeaders, h.GroupHeaders, h.ExtraHeaderPrefixes)
		chain = append(chain, namingUser{authenticator.WrapAudienceAgnosticRequest(cfg.Audiences, proxy), h.UsernameHeaders})
	}
	chain = append(chain, newCertificates(cfg.ClientRoots, cfg.Now))
	var out Authenticators
	if token := cfg.tokens(); token != nil {
		chain = append(chain, bearertoken.New(token), websocket.NewProtocolAuthenticator(token))
		out.Token = group.NewTokenGroupAdder(token, []string{user.AllAuthenticated})
	}
	out.Request = group.NewAuthenticatedGroupAdder(union.New(chain...))
	if conditions, ok := cfg.anonymous(); ok {
		out.Request = union.NewFailOnError(out.Request, anonymous.NewAuthenticator(conditions))
	}
	return out, nil
}

// tokens asks, in this order, those who know at once, and then those who may have to
// ask others.
func (c *Config) tokens() authenticator.Token {
	var tokens []authenticator.Token
	if c.ServiceAccounts != nil {
		tokens = append(tokens, c.ServiceAccounts)
	}
	if c.Secrets != nil {
		tokens = append(tokens, authenticator.WrapAudienceAgnosticToken(c.Audiences, &bootstrapTokens{secrets: c.Secrets, now: c.Now}))
	}
	for _, t := range []authenticator.Token{c.Issuers, c.Webhook} {
		if t != nil {
			tokens = append(tokens, t)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	return tokencache.New(tokenunion.New(tokens...), true, tokenCacheTTL, 0)
}

func (c *Config) anonymous() ([]apiserver.AnonymousAuthCondition, bool) {
	if c.Anonymous != nil {
		return c.Anonymous.Conditions, c.Anonymous.Enabled
	}
	conditions := make([]apiserver.AnonymousAuthCondition, len(AnonymousPaths))
	for i, path := range AnonymousPaths {
		conditions[i].Path = path
	}
	return conditions, true
}
