package app

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/server/healthz"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/auditlog"
	"github.com/pintle-io/pintle/engine/auth/authn"
	"github.com/pintle-io/pintle/engine/auth/authz"
	"github.com/pintle-io/pintle/engine/auth/bootstrap"
	"github.com/pintle-io/pintle/engine/auth/node"
	"github.com/pintle-io/pintle/engine/auth/pki"
	"github.com/pintle-io/pintle/engine/auth/rbac"
	"github.com/pintle-io/pintle/engine/auth/token"
	"github.com/pintle-io/pintle/engine/client"
)

// Security is what a user can choose about who may do what, and what is recorded of
// it. The zero value but for Audit is a sensible choice.
type Security struct {
	// AuthenticationConfig and AuthorizationConfig are files of the kinds
	// AuthenticationConfiguration and AuthorizationConfiguration; empty for none.
	AuthenticationConfig, AuthorizationConfig string
	// TokenWebhook is asked about tokens that nobody here knows.
	TokenWebhook authn.Webhook
	// FrontProxyCA is a file with the authorities of proxies that may name users in
	// headers; FrontProxy says which proxies and which headers.
	FrontProxyCA string
	FrontProxy   authn.FrontProxy
	// Audit without a path records in the data directory; with the path "none",
	// nowhere.
	Audit auditlog.Config
	// MaxRequests and MaxWrites bound the requests served at a time; zero selects
	// the defaults.
	MaxRequests, MaxWrites  int
	NoFairness, NoProfiling bool
	// Flags is what /flagz shows.
	Flags map[string]string
}

// NoAuditLog is the path that turns the audit log off.
const NoAuditLog = "none"

func (s *Security) validate() error {
	for flag, file := range map[string]string{
		"authentication-config": s.AuthenticationConfig, "authorization-config": s.AuthorizationConfig,
		"authentication-token-webhook-config-file": s.TokenWebhook.Kubeconfig, "requestheader-client-ca-file": s.FrontProxyCA,
		"audit-policy-file": s.Audit.PolicyFile, "audit-webhook-config-file": s.Audit.WebhookKubeconfig,
	} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
	}
	if s.FrontProxyCA == "" && len(s.FrontProxy.AllowedNames) > 0 {
		return errors.New("--requestheader-allowed-names needs --requestheader-client-ca-file")
	}
	for flag, n := range map[string]int{
		"max-requests-inflight": s.MaxRequests, "max-mutating-requests-inflight": s.MaxWrites,
		"audit-log-maxsize": s.Audit.MaxSize, "audit-log-maxbackup": s.Audit.MaxBackups, "audit-log-maxage": s.Audit.MaxAge,
	} {
		if n < 0 {
			return fmt.Errorf("--%s %d: want 0 or more", flag, n)
		}
	}
	return nil
}

// audit is where and what to record.
func (c Config) audit() auditlog.Config {
	audit := c.Security.Audit
	switch audit.Path {
	case "":
		audit.Path = filepath.Join(c.DataDir, "audit", "audit.log")
	case NoAuditLog:
		audit.Path = ""
	}
	return audit
}

// wireAuthentication builds what knows who is asking. Its loops are run by run.
func (c *controlPlane) wireAuthentication(tokens *token.Service, ownProxy apiserver.FrontProxy) (authn.Authenticators, apiserver.Filters, error) {
	s := &c.cfg.Security
	var none authn.Authenticators
	filters := apiserver.Filters{
		MaxRequests: s.MaxRequests, MaxWrites: s.MaxWrites, NoFairness: s.NoFairness, NoProfiling: s.NoProfiling,
		InProcess: client.InProcess, Flags: s.Flags,
	}
	proxy := authn.DefaultFrontProxy(ownProxy.CA, ownProxy.Name)
	if s.FrontProxyCA != "" {
		ca, err := os.ReadFile(s.FrontProxyCA)
		if err != nil {
			return none, filters, err
		}
		proxy = s.FrontProxy
		proxy.CA = ca
	}
	var err error
	if filters.RequestHeader, err = proxy.RequestHeader(); err != nil {
		return none, filters, err
	}
	cfg := authn.Config{
		ClientRoots: c.pki.Pool(), RequestHeader: filters.RequestHeader, ServiceAccounts: tokens, Audiences: tokens.Audiences(),
		Secrets: c.filledSecrets(),
		Extra:   []authenticator.Request{client.Authenticator()},
	}
	if s.AuthenticationConfig != "" {
		issuers, err := authn.NewIssuers(wait.ContextForChannel(c.done), authn.IssuersConfig{
			File: s.AuthenticationConfig, Disallowed: []string{serviceAccountIssuer}, Audiences: tokens.Audiences(),
			ServerID: serverID, Logger: c.log.With("part", "authentication"),
		})
		if err != nil {
			return none, filters, err
		}
		cfg.Issuers, cfg.Anonymous = issuers, issuers.Anonymous()
		c.follow = append(c.follow, issuers.Run)
	}
	if s.TokenWebhook.Kubeconfig != "" {
		if cfg.Webhook, err = authn.NewWebhook(s.TokenWebhook, tokens.Audiences()); err != nil {
			return none, filters, err
		}
	}
	who, err := authn.New(cfg)
	return who, filters, err
}

// serverID tells apart the API servers of a cluster in metrics. There is one.
const serverID = "pintle"

// authorizer asks, in this order: is it an administrator, a node about its own
// things, somebody to whom a role was bound; or whoever else is configured.
func (c *controlPlane) authorizer() (*authz.Chain, error) {
	factory := c.client.Informers()
	view, err := node.NewView(factory)
	if err != nil {
		return nil, err
	}
	c.rules = rbac.New(factory)
	chain, err := authz.New(authz.Config{
		Node: node.New(view, bootstrap.NodeRules()), RBAC: c.rules,
		File: c.cfg.Security.AuthorizationConfig, ServerID: serverID, Logger: c.log.With("part", "authorization"),
	})
	if err != nil {
		return nil, err
	}
	c.follow = append(c.follow, chain.Run)
	return chain, nil
}

// ownProxy is how this server identifies itself as a proxy.
func ownProxy(keys *pki.PKI) (apiserver.FrontProxy, error) {
	proxy := apiserver.FrontProxy{Name: pki.FrontProxyName}
	var err error
	proxy.File, proxy.CA, err = keys.FrontProxy()
	return proxy, err
}

// storeCheck is named after what holds the state upstream, so that probes written for
// a Kubernetes API server work.
func (c *controlPlane) storeCheck() healthz.HealthChecker {
	return healthz.NamedCheck("etcd", func(*http.Request) error { return storeFailure(c.store) })
}

// DefaultAudit bounds the audit log to about 64 MB.
func DefaultAudit() auditlog.Config {
	return auditlog.Config{MaxSize: 16, MaxBackups: 3}
}

// DefaultTokenWebhookTTL is how long a webhook's answer is remembered.
const DefaultTokenWebhookTTL = 2 * time.Minute
