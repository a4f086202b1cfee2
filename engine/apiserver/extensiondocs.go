package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/workqueue"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	informers "k8s.io/kube-aggregator/pkg/client/informers/externalversions/apiregistration/v1"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/controllers/status/remote"
	specaggregator "k8s.io/kube-openapi/pkg/aggregator"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/pintle-io/pintle/engine/apiserver/openapi"
)

const (
	// docsAge is how old the documents of an extension server may be: it does not
	// tell when it has others.
	docsAge = time.Minute
	// docsTimeout and docsSize bound one download.
	docsTimeout = time.Minute
	docsSize    = 64 << 20
	// docsUser asks for the documents, as upstream's aggregator does.
	docsUser = "system:aggregator"
)

// extensionDocs publishes the OpenAPI documents of available extension servers and
// keeps what it has of one that is away, until its APIService goes.
type extensionDocs struct {
	services   listers.APIServiceLister
	resolver   webhook.ServiceResolver
	frontProxy string
	docs       *openapi.Service
	queue      workqueue.TypedRateLimitingInterface[string]
	log        *slog.Logger
}

func newExtensionDocs(cfg *Config, services informers.APIServiceInformer) (*extensionDocs, error) {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, docsAge)
	d := &extensionDocs{
		services: services.Lister(), resolver: cfg.Services, frontProxy: cfg.FrontProxy.File, docs: cfg.OpenAPI,
		queue: workqueue.NewTypedRateLimitingQueue(limiter), log: cfg.Logger,
	}
	add := func(obj any) {
		if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
			d.queue.Add(name)
		}
	}
	_, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) }, DeleteFunc: add,
	})
	return d, err
}

// start is a post-start hook.
func (d *extensionDocs) start(ctx genericapiserver.PostStartHookContext) error {
	go func() { <-ctx.Done(); d.queue.ShutDown() }()
	go func() {
		for d.next(ctx) {
		}
	}()
	return nil
}

func (d *extensionDocs) next(ctx context.Context) bool {
	name, shutdown := d.queue.Get()
	if shutdown {
		return false
	}
	defer d.queue.Done(name)
	again, err := d.sync(ctx, name)
	if err != nil {
		d.log.Debug("no OpenAPI documents from an extension server", "kind", "APIService", "name", name, "err", err)
		d.queue.AddRateLimited(name)
		return true
	}
	d.queue.Forget(name)
	if again {
		d.queue.AddAfter(name, docsAge)
	}
	return true
}

// sync brings one extension server's documents up to date; again asks for doing so
// regularly.
func (d *extensionDocs) sync(ctx context.Context, name string) (again bool, err error) {
	service, err := d.services.Get(name)
	if apierrors.IsNotFound(err) || err == nil && service.Spec.Service == nil {
		d.docs.RemoveExtension(name)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !helper.IsAPIServiceConditionTrue(service, apiregistrationv1.Available) {
		return false, nil
	}
	server, err := d.server(service)
	if err != nil {
		return false, err
	}
	published, err := server.documents(ctx, service.Spec)
	if err != nil {
		return false, err
	}
	d.docs.SetExtension(name, published)
	return true, nil
}

// extensionServer speaks to an extension server in the name of others.
type extensionServer struct {
	service   apiregistrationv1.ServiceReference
	resolver  webhook.ServiceResolver
	transport http.RoundTripper
}

func (d *extensionDocs) server(service *apiregistrationv1.APIService) (*extensionServer, error) {
	var identity []byte
	if d.frontProxy != "" {
		var err error
		if identity, err = os.ReadFile(d.frontProxy); err != nil {
			return nil, err
		}
	}
	rt, err := transport.New(remote.BuildTransportConfig(nil, identity, identity, service))
	if err != nil {
		return nil, err
	}
	return &extensionServer{*service.Spec.Service, d.resolver, rt}, nil
}

func (s *extensionServer) host() (string, error) {
	u, err := s.resolver.ResolveEndpoint(s.service.Namespace, s.service.Name, *s.service.Port)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// ServeHTTP passes a request on, with who asks.
func (s *extensionServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	asks, ok := request.UserFrom(req.Context())
	host, err := s.host()
	if !ok || err != nil {
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "https", host, host
			transport.SetAuthProxyHeaders(p.Out, asks.GetName(), asks.GetUID(), asks.GetGroups(), asks.GetExtra())
		},
		Transport: s.transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		},
	}
	proxy.ServeHTTP(w, req)
}

// documents fetches all documents. A server that has none of version 3 gets those of
// version 2 translated.
func (s *extensionServer) documents(ctx context.Context, service apiregistrationv1.APIServiceSpec) (*openapi.Extension, error) {
	ctx, cancel := context.WithTimeout(ctx, docsTimeout)
	defer cancel()
	published := &openapi.Extension{V3Handler: s}
	old := &spec.Swagger{}
	hasOld, err := s.get(ctx, "/openapi/v2", old)
	if err != nil {
		return nil, err
	}
	group := "apis/" + service.Group + "/" + service.Version
	if hasOld {
		published.V2 = specaggregator.FilterSpecByPathsWithoutSideEffects(old, []string{"/" + group + "/"})
	}
	hasNew, err := s.get(ctx, "/openapi/v3", &published.V3)
	if err != nil || hasNew || !hasOld {
		return published, err
	}
	translated := http.NewServeMux()
	documents := handler3.NewOpenAPIService()
	documents.UpdateGroupVersion(group, openapiconv.ConvertV2ToV3(old))
	if err := documents.RegisterOpenAPIV3VersionedService("/openapi/v3", prefixMux{translated}); err != nil {
		return nil, err
	}
	published.V3Handler = translated
	published.V3.Paths = map[string]handler3.OpenAPIV3DiscoveryGroupVersion{
		group: {ServerRelativeURL: "/openapi/v3/" + group},
	}
	return published, nil
}

// get decodes a document; found is false if the server has none.
func (s *extensionServer) get(ctx context.Context, path string, into any) (found bool, err error) {
	host, err := s.host()
	if err != nil {
		return false, err
	}
	u := url.URL{Scheme: "https", Host: host, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "application/json")
	transport.SetAuthProxyHeaders(req, docsUser, "", nil, nil)
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return false, nil
	default:
		return false, fmt.Errorf("%s answered %s", path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, docsSize)).Decode(into); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

// prefixMux lets handlers be registered as upstream's path recorder does.
type prefixMux struct{ *http.ServeMux }

// HandlePrefix serves everything below path.
func (m prefixMux) HandlePrefix(path string, h http.Handler) { m.Handle(path, h) }
