package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"

	"github.com/pintle-io/pintle/engine/admission"
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
	// OIDC is an issuer of tokens, in place of AuthenticationConfig; OIDCRequiredClaims
	// are claims of its tokens as key=value.
	OIDC               authn.OIDC
	OIDCRequiredClaims []string
	// AdmissionConfig is a file of the kind AdmissionConfiguration; empty for none.
	// AdmissionPlugins are turned on, NoAdmissionPlugins off.
	AdmissionConfig                      string
	AdmissionPlugins, NoAdmissionPlugins []string
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
		"oidc-ca-file": s.OIDC.CAFile, "admission-control-config-file": s.AdmissionConfig,
		"audit-policy-file": s.Audit.PolicyFile, "audit-webhook-config-file": s.Audit.WebhookKubeconfig,
	} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
	}
	if err := s.validateOIDC(); err != nil {
		return err
	}
	for flag, names := range map[string][]string{"enable-admission-plugins": s.AdmissionPlugins, "disable-admission-plugins": s.NoAdmissionPlugins} {
		for _, name := range names {
			if !slices.Contains(admission.Names(), name) {
				return fmt.Errorf("--%s: unknown plugin %q; known are %s", flag, name, strings.Join(admission.Names(), ", "))
			}
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

// validateOIDC checks the flags about an issuer, and fills the claims it requires.
func (s *Security) validateOIDC() error {
	o := &s.OIDC
	if o.IssuerURL == "" && o.ClientID == "" {
		if o.CAFile != "" || o.UsernamePrefix != "" || o.GroupsClaim != "" || o.GroupsPrefix != "" || len(s.OIDCRequiredClaims) > 0 {
			return errors.New("--oidc-*: oidc-issuer-url and oidc-client-id are needed with any of them")
		}
		return nil
	}
	if o.IssuerURL == "" || o.ClientID == "" {
		return errors.New("--oidc-issuer-url and --oidc-client-id go together")
	}
	if s.AuthenticationConfig != "" {
		return errors.New("--authentication-config and --oidc-* exclude each other: put the issuer into the file")
	}
	o.RequiredClaims = map[string]string{}
	for _, claim := range s.OIDCRequiredClaims {
		key, value, ok := strings.Cut(claim, "=")
		if !ok || key == "" {
			return fmt.Errorf("--oidc-required-claim %q: want key=value", claim)
		}
		o.RequiredClaims[key] = value
	}
	for _, algorithm := range o.SigningAlgs {
		if known := oidc.AllValidSigningAlgorithms(); !slices.Contains(known, algorithm) {
			return fmt.Errorf("--oidc-signing-algs %q: want some of %s", algorithm, strings.Join(known, ", "))
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
		proxy = s.FrontProxy
		proxy.CAFile = s.FrontProxyCA
	}
	var err error
	if filters.RequestHeader, err = proxy.RequestHeader(); err != nil {
		return none, filters, err
	}
	c.follow = append(c.follow, func(ctx context.Context) error { return authn.Follow(ctx, filters.RequestHeader) })
	cfg := authn.Config{
		ClientRoots: c.pki.Pool(), RequestHeader: filters.RequestHeader, ServiceAccounts: tokens, Audiences: tokens.Audiences(),
		Secrets: c.filledSecrets(),
		Extra:   []authenticator.Request{client.Authenticator()},
	}
	if s.AuthenticationConfig != "" || s.OIDC.IssuerURL != "" {
		var flags *authn.OIDC
		if s.AuthenticationConfig == "" {
			flags = &s.OIDC
		}
		issuers, err := authn.NewIssuers(wait.ContextForChannel(c.done), authn.IssuersConfig{
			File: s.AuthenticationConfig, Flags: flags, Disallowed: []string{serviceAccountIssuer}, Audiences: tokens.Audiences(),
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
