package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	restful "github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	restclient "k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/engine/registry"
)

const (
	// shutdownTimeout bounds how long running requests may hold up the end;
	// watchGrace how long watches may.
	shutdownTimeout = 5 * time.Second
	watchGrace      = time.Second
)

// Server is the API server.
type Server struct {
	// generic serves the registry; outer is the first of the chain, which all
	// requests come to.
	generic  *genericapiserver.GenericAPIServer
	outer    *genericapiserver.GenericAPIServer
	chain    []*genericapiserver.GenericAPIServer
	prepared interface {
		RunWithContext(ctx context.Context) error
	}
	ready chan struct{}
}

// New installs everything. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	guarded := limit(&cfg)
	stopping := make(stopSignal)
	generic, err := genericConfig(&cfg, guarded, stopping)
	if err != nil {
		return nil, err
	}
	s := &Server{ready: make(chan struct{})}
	complete := make(chan struct{})
	delegate := genericapiserver.NewEmptyDelegateWithCustomHandler(notFound(cfg.Registry.Codecs(), complete))
	var custom *customResources
	if cfg.Loopback != nil {
		if custom, err = newCustomResources(generic, &cfg, delegate); err != nil {
			return nil, fmt.Errorf("apiserver: custom resources: %w", err)
		}
		s.chain = append(s.chain, custom.GenericAPIServer)
		delegate = custom.GenericAPIServer
	}
	if s.generic, err = generic.Complete(nil).New("pintle", delegate); err != nil {
		return nil, fmt.Errorf("apiserver: %w", err)
	}
	s.chain = append([]*genericapiserver.GenericAPIServer{s.generic}, s.chain...)
	s.generic.ShutdownTimeout = shutdownTimeout
	if err := s.install(&cfg); err != nil {
		return nil, fmt.Errorf("apiserver: %w", err)
	}
	s.outer = s.generic
	registered := closed()
	if custom == nil {
		close(complete)
	} else if registered, err = s.aggregate(generic, &cfg, custom, complete); err != nil {
		return nil, fmt.Errorf("apiserver: %w", err)
	}
	s.outer.ShutdownTimeout = shutdownTimeout
	if err := s.maintainFairness(&cfg); err != nil {
		return nil, fmt.Errorf("apiserver: %w", err)
	}
	err = s.outer.AddPostStartHook("start-service-ip-repair-controllers", func(ctx genericapiserver.PostStartHookContext) error {
		if err := cfg.Registry.PublishServiceAddresses(ctx); err != nil {
			cfg.Logger.Error("addresses of services are not shown as objects", "err", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.outer.AddPostStartHook("pintle/listening", func(ctx genericapiserver.PostStartHookContext) error {
		select {
		case <-registered:
			cfg.Logger.Info("serving the API", "address", s.outer.ExternalAddress)
			close(s.ready)
		case <-ctx.Done():
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.outer.AddPreShutdownHook("pintle/watches", func() error {
		close(stopping)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.outer.AddBootSequenceHealthChecks(healthz.NamedCheck("autoregister-completion", closedCheck(registered))); err != nil {
		return nil, err
	}
	for _, name := range cfg.Prepared {
		done := func(genericapiserver.PostStartHookContext) error { return nil }
		if err := s.outer.AddPostStartHook(name, done); err != nil {
			return nil, err
		}
	}
	registerMetrics(cfg.Registry, cfg.StorageSize)
	for _, container := range s.Containers() {
		container.Router(&router{})
		if !cfg.RouteDocs {
			forgetDocs(container)
		}
	}
	s.prepared = s.outer.PrepareRun()
	return s, nil
}

// aggregate publishes custom resources and puts the aggregator before all. The
// channel it returns is closed once everything built in is announced.
func (s *Server) aggregate(main *genericapiserver.Config, cfg *Config, custom *customResources, complete chan<- struct{}) (<-chan struct{}, error) {
	if err := custom.publish(s.generic, cfg.OpenAPI, complete); err != nil {
		return nil, fmt.Errorf("custom resources: %w", err)
	}
	aggregator, err := newAggregator(main, cfg, s.generic)
	if err != nil {
		return nil, fmt.Errorf("aggregation: %w", err)
	}
	s.outer = aggregator.GenericAPIServer
	s.chain = append([]*genericapiserver.GenericAPIServer{s.outer}, s.chain...)
	if err := s.outer.AddPostStartHook("start-cluster-authentication-info-controller", publishTrust(cfg)); err != nil {
		return nil, err
	}
	return aggregator.register(cfg, custom)
}

// closedCheck is healthy once done is closed.
func closedCheck(done <-chan struct{}) func(*http.Request) error {
	return func(*http.Request) error {
		select {
		case <-done:
			return nil
		default:
			return errors.New("not all that is built in is announced yet")
		}
	}
}

func closed() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Run serves until ctx ends and the requests under way are done.
func (s *Server) Run(ctx context.Context) error { return s.prepared.RunWithContext(ctx) }

// Ready is closed when Run accepts connections.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Handler serves a request through the whole chain.
func (s *Server) Handler() http.Handler { return s.outer.Handler }

// Containers returns the REST containers along the delegation chain, from which the
// OpenAPI generator reads what is served.
func (s *Server) Containers() []*restful.Container {
	var out []*restful.Container
	for _, server := range s.chain {
		out = append(out, server.Handler.GoRestfulContainer)
	}
	return out
}

// genericConfig fills upstream's configuration. What the delegates have in common
// is in it.
func genericConfig(cfg *Config, guarded func(http.Handler, *genericapiserver.Config) http.Handler, stopping stopSignal) (*genericapiserver.Config, error) {
	c := genericapiserver.NewConfig(cfg.Registry.Codecs())
	c.FeatureGate = utilfeature.DefaultFeatureGate
	c.EffectiveVersion = effectiveVersion()
	c.Authentication.Authenticator = stackGrower{cfg.Authenticator}
	c.Authentication.APIAudiences = cfg.APIAudiences
	c.Authorization.Authorizer = cfg.Authorizer
	c.AdmissionControl = cfg.Admission
	c.AuditBackend, c.AuditPolicyRuleEvaluator = cfg.Audit, cfg.AuditPolicy
	c.ShutdownWatchTerminationGracePeriod = watchGrace
	c.LongRunningFunc = longRunning(genericfilters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward")), cfg.LongRunning)
	c.BuildHandlerChainFunc = func(handler http.Handler, c *genericapiserver.Config) http.Handler {
		return onGrownStack(withoutLoopbackGzip(chain(guarded(withSharedEncodings(handler), c), c, noted{c.Authorization.Authorizer, cfg.Refused}, stopping)))
	}
	c.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")
	c.EquivalentResourceRegistry = runtime.NewEquivalentResourceRegistryWithIdentity(sharedStorage)
	c.ExternalAddress = "localhost:443"
	c.LoopbackClientConfig = cfg.Loopback
	if c.LoopbackClientConfig == nil {
		c.LoopbackClientConfig = &restclient.Config{}
	}
	if err := filter(c, cfg); err != nil {
		return nil, err
	}
	c.AddHealthChecks(cfg.Checks...)
	c.ReadyzChecks = append(c.ReadyzChecks, cfg.ReadyChecks...)
	if cfg.Listener == nil {
		return c, nil
	}
	c.ExternalAddress = cfg.Listener.Addr().String()
	var err error
	c.SecureServing, err = secureServing(cfg)
	return c, err
}

// sharedStorage names the storage that several resources have in common.
func sharedStorage(gr schema.GroupResource) string {
	if gr.Resource == "events" {
		return "events"
	}
	return ""
}

// withSharedEncodings makes all watches of a resource share the encodings of its
// events, and answers reads from stored bytes.
func withSharedEncodings(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if info, ok := request.RequestInfoFrom(req.Context()); ok && readsWhole(info, req) {
			req = req.WithContext(registry.ForHTTP(req.Context()))
		}
		next.ServeHTTP(w, req)
	})
}

// readsWhole reports whether a request reads objects as they are: no part of them,
// and no table or metadata made of them. What a watch makes of its objects may be
// shared too.
func readsWhole(info *request.RequestInfo, req *http.Request) bool {
	switch info.Verb {
	case "watch":
		return true
	case "get", "list":
		return info.IsResourceRequest && info.Subresource == "" && !asksForOther(req.Header)
	}
	return false
}

// asksForOther reports whether what is accepted may have an "as" parameter.
func asksForOther(header http.Header) bool {
	for _, accept := range header["Accept"] {
		if strings.Contains(strings.ToLower(accept), "as") {
			return true
		}
	}
	return false
}

// withoutLoopbackGzip answers plain to clients of this machine: compressing costs
// more than the loopback interface saves.
func withoutLoopbackGzip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if isLoopback(req.RemoteAddr) {
			req.Header.Del("Accept-Encoding")
		}
		next.ServeHTTP(w, req)
	})
}

// longRunning adds paths without a resource to what a check calls long running.
func longRunning(check request.LongRunningRequestCheck, prefixes []string) request.LongRunningRequestCheck {
	return func(r *http.Request, info *request.RequestInfo) bool {
		if check(r, info) {
			return true
		}
		return !info.IsResourceRequest && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(info.Path, p) })
	}
}
