package apiserver

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	restclient "k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/engine/apiserver/openapi"
	"github.com/pintle-io/pintle/engine/registry"
)

// Config describes a Server. Registry, Authenticator and Authorizer are required;
// Listener and Certificate too, if Run is to be called.
type Config struct {
	Registry      *registry.Registry
	Authenticator authenticator.Request
	Authorizer    authorizer.Authorizer
	// Refused, if set, is told what the Authorizer did not allow, and why.
	Refused func(a authorizer.Attributes, reason string)
	// Admission runs on every write; nil admits everything.
	Admission admission.Interface
	// APIAudiences are what tokens must be meant for.
	APIAudiences authenticator.Audiences

	// Listener accepts TLS connections.
	Listener net.Listener
	// Certificate is the serving certificate; it is asked for again every minute, so
	// it may be renewed.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCA is the PEM bundle whose client certificates are asked for. The
	// Authenticator verifies them.
	ClientCA []byte

	// Loopback reaches this server in process, with all rights. Without it, custom
	// resource definitions and APIServices are not served.
	Loopback *restclient.Config
	// Informers are needed with Loopback: extension servers are found through
	// services.
	Informers informers.SharedInformerFactory
	// Services finds extension servers and conversion webhooks; needed with Loopback.
	// NewServiceResolver makes one.
	Services webhook.ServiceResolver
	// FrontProxy identifies this server to extension servers.
	FrontProxy FrontProxy
	// RouteDocs keeps what describes the routes, for a generator; a server needs none
	// of it.
	RouteDocs bool
	// OpenAPI serves /openapi; nil leaves it out.
	OpenAPI *openapi.Service
	// Paths are further handlers by path, behind authentication and authorization:
	// OpenID discovery, for example.
	// A path that ends in a slash stands for all below it.
	Paths map[string]http.Handler
	// Groups announces in discovery what handlers of Paths serve.
	Groups []metav1.APIResourceList
	// Checks are added to healthz, livez and readyz.
	Checks []healthz.HealthChecker
	// ReadyChecks are added to readyz only.
	ReadyChecks []healthz.HealthChecker
	// StorageSize tells the bytes of the store on disk, for metrics; may be nil.
	StorageSize func() int64
	// Prepared are names of hooks upstream runs after the start, whose work the caller
	// has done before: probes ask for them by name.
	Prepared []string
	// LongRunning are the prefixes of those Paths that may take longer than requests
	// usually may.
	LongRunning []string

	// Filters tunes limits, priorities and debugging.
	Filters Filters

	// Audit receives events of the requests that AuditPolicy selects.
	Audit       audit.Backend
	AuditPolicy audit.PolicyRuleEvaluator

	Logger *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Registry == nil:
		return errors.New("apiserver: Registry is required")
	case c.Authenticator == nil || c.Authorizer == nil:
		return errors.New("apiserver: Authenticator and Authorizer are required")
	case c.Loopback != nil && (c.Informers == nil || c.Services == nil):
		return errors.New("apiserver: Loopback needs Informers and Services")
	case c.Listener != nil && c.Certificate == nil:
		return errors.New("apiserver: a Listener needs a Certificate")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
