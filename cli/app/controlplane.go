package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"

	engineadmission "github.com/pintle-io/pintle/engine/admission"
	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/auditlog"
	"github.com/pintle-io/pintle/engine/apiserver/openapi"
	"github.com/pintle-io/pintle/engine/auth/bootstrap"
	"github.com/pintle-io/pintle/engine/auth/pki"
	"github.com/pintle-io/pintle/engine/auth/rbac"
	"github.com/pintle-io/pintle/engine/auth/token"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/leader"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/runtime/dns"
	"github.com/pintle-io/pintle/runtime/metricsapi"
	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/store/snapshot"
	"github.com/pintle-io/pintle/wasm/host"
)

const serviceAccountIssuer = "https://kubernetes.default.svc." + ClusterDomain

// controlPlane is everything that needs no node: store, API, controllers,
// scheduler. New wires it, run starts it.
type controlPlane struct {
	cfg    Config
	log    *slog.Logger
	pki    *pki.PKI
	store  *store.Store
	client *client.Client
	server *apiserver.Server
	// listener is the API's; endpoint is where pods and other nodes reach it.
	listener net.Listener
	endpoint netip.AddrPort
	rules    *rbac.Authorizer
	dns      *dns.Server
	leader   *leader.Leader
	work     workers
	// follow watch the files of security's configuration.
	follow workers
	// admission is set on the client once what a cluster always holds is there:
	// nothing that users put in its way may keep the server from starting.
	admission admission.Interface
	// loadPolicies puts the stored policies in force.
	loadPolicies func(context.Context) error
	// done is closed by close.
	done chan struct{}
	// stored lists custom resources without the API.
	stored func(ctx context.Context, gr schema.GroupResource) ([]*unstructured.Unstructured, error)
	// strategiesSettled is closed once decisions may begin.
	strategiesSettled chan struct{}
	// placing and answering are the Wasm runtimes, started when first asked for.
	placing, answering func() (*host.Runtime, error)
}

// newControlPlane opens the store and wires the API. What it opened is closed by
// close, also after an error.
func newControlPlane(cfg Config, listener net.Listener, endpoint netip.AddrPort, log *slog.Logger) (*controlPlane, error) {
	c := &controlPlane{cfg: cfg, log: log, listener: listener, endpoint: endpoint, done: make(chan struct{}), strategiesSettled: make(chan struct{})}
	c.placing = sync.OnceValues(func() (*host.Runtime, error) { return c.wasmRuntime(context.Background(), 0) })
	c.answering = sync.OnceValues(func() (*host.Runtime, error) { return c.wasmRuntime(context.Background(), host.JSONMemoryPages) })
	var err error
	if c.pki, err = openPKI(cfg, endpoint); err != nil {
		return c, err
	}
	if err = snapshot.Sweep(SnapshotDir(cfg.DataDir)); err != nil {
		log.Warn("what an interrupted snapshot left cannot be removed", "error", err)
	}
	if c.store, err = store.Open(storeDir(cfg.DataDir), storeOptions(cfg, log.With("part", "store"))); err != nil {
		return c, err
	}
	reg, err := registry.New(registry.Config{
		Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(),
		Store: c.store, ServiceCIDRs: serviceCIDRs(cfg.DualStack),
	})
	if err != nil {
		return c, err
	}
	if c.client, err = client.New(client.Config{Storages: reg, Table: served.Table(), Scheme: served.Scheme(), TypeConverter: served.Types, Late: lateKinds}); err != nil {
		return c, err
	}
	if c.dns, err = newDNS(c.client.Informers(), endpoint.Addr(), log); err != nil {
		return c, err
	}
	c.stored = reg.StoredCustomResources
	return c, c.wireAPI(reg)
}

func openPKI(cfg Config, endpoint netip.AddrPort) (*pki.PKI, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, err
	}
	hosts := []string{host, endpoint.Addr().String()}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	return pki.Open(pki.Config{
		Dir: pkiDir(cfg.DataDir), Hosts: hosts, ServiceIPs: []net.IP{net.ParseIP(KubernetesIP)}, ClusterDomain: ClusterDomain,
	})
}

// wireAPI puts authentication, authorization and admission around the registry.
func (c *controlPlane) wireAPI(reg *registry.Registry) error {
	factory := c.client.Informers()
	tokens, err := token.New(token.Config{Issuer: serviceAccountIssuer, Key: c.pki.ServiceAccountKey(), Objects: c.client})
	if err != nil {
		return err
	}
	frontProxy, err := ownProxy(c.pki)
	if err != nil {
		return err
	}
	who, filters, err := c.wireAuthentication(tokens, frontProxy)
	if err != nil {
		return err
	}
	may, err := c.authorizer()
	if err != nil {
		return err
	}
	logs, err := c.newLogs()
	if err != nil {
		return err
	}
	rego, err := c.newPolicies(logs.Denials)
	if err != nil {
		return err
	}
	c.loadPolicies = func(ctx context.Context) error {
		return rego.LoadStored(ctx, c.stored, c.log.With("part", "policies"))
	}
	self, err := url.Parse(c.url())
	if err != nil {
		return err
	}
	services, err := apiserver.NewServiceResolver(factory, self)
	if err != nil {
		return err
	}
	plugins, err := engineadmission.ReadConfig(c.cfg.Security.AdmissionConfig)
	if err != nil {
		return err
	}
	c.admission, err = engineadmission.New(engineadmission.Config{
		Plugins: plugins, Enabled: c.cfg.Security.AdmissionPlugins, Disabled: c.cfg.Security.NoAdmissionPlugins,
		Informers: factory, Client: c.client.Clientset(), Authorizer: may,
		Mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Clientset().Discovery())),
		Dynamic: c.client.Dynamic(), Loopback: c.client.RESTConfig(), Services: services, Done: c.done,
		Extra: []engineadmission.Plugin{{Name: "RBAC", Interface: rbac.NewGuard(c.rules, may)}, {Name: "Constraints", Interface: rego}},
		Refused: func(plugin string, a admission.Attributes, err error) {
			logs.Denials.Add(admissionRefusal(plugin, a, err, time.Now()))
		},
	})
	if err != nil {
		return err
	}
	reg.SetHooks(registry.Hooks{
		Tokens: who.Token, APIAudiences: tokens.Audiences(), Authorizer: may, Rules: may, TokenIssuer: tokens,
		NodeTransport: nodeTransport(c.pki),
	})
	docs, err := openapi.New()
	if err != nil {
		return err
	}
	paths, err := tokens.Handlers("https://" + c.endpoint.String() + token.KeysPath)
	if err != nil {
		return err
	}
	for path, handler := range decisionPaths(logs) {
		paths[path] = handler
	}
	for path, handler := range c.metricsPaths() {
		paths[path] = handler
	}
	for path, handler := range storePaths(c.store, c.cfg.DataDir, may) {
		paths[path] = handler
	}
	record, rules, err := auditlog.New(c.cfg.audit())
	if err != nil {
		return err
	}
	c.server, err = apiserver.New(apiserver.Config{
		Registry: reg, Authenticator: who.Request, Authorizer: may,
		Refused:   func(a authorizer.Attributes, reason string) { logs.Denials.Add(accessRefusal(a, reason, time.Now())) },
		Admission: c.admission, APIAudiences: tokens.Audiences(),
		Listener: c.listener, Certificate: servingChain(c.pki), ClientCA: c.pki.CA(),
		Loopback: c.client.RESTConfig(), Informers: factory, Services: services, FrontProxy: frontProxy, OpenAPI: docs, Paths: paths,
		LongRunning: []string{StorePath}, ReadyChecks: []healthz.HealthChecker{healthz.NamedCheck("store", storeCheck(c.store))},
		Groups:      []metav1.APIResourceList{decision.Discovery(), metricsapi.Discovery()},
		StorageSize: func() int64 { return bytesBelow(storeDir(c.cfg.DataDir)) }, Prepared: bootstrap.Hooks(),
		Filters: filters, Audit: record, AuditPolicy: rules, Checks: []healthz.HealthChecker{c.storeCheck()},
		Logger: c.log.With("part", "apiserver"),
	})
	if err != nil {
		return err
	}
	c.client.SetHandler(c.server.Handler())
	if c.leader, err = c.newLeader(reg); err != nil {
		return err
	}
	return c.wireWorkers(logs, rego)
}

// nodeTransport is how the API server speaks to node agents.
func nodeTransport(keys *pki.PKI) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.ForceAttemptHTTP2 = false
	t.TLSClientConfig = clientTLS(keys)
	t.MaxIdleConnsPerHost = 10
	t.IdleConnTimeout = 30 * time.Second
	return t
}

// run serves until ctx ends. ready is called once requests are answered and what
// a cluster always holds is there.
func (c *controlPlane) run(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	factory := c.client.Informers()
	// The informers end before the store below them is closed.
	defer factory.Shutdown()
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	restoreGC := loadingGC()
	defer restoreGC()
	factory.StartWithContext(ctx)
	c.client.WaitForEarly(ctx)
	err := bootstrap.Ensure(ctx, c.client, bootstrap.Config{
		ServiceIP: net.ParseIP(KubernetesIP), AdvertiseIP: net.IP(c.endpoint.Addr().AsSlice()), Port: int32(c.endpoint.Port()),
	})
	if err != nil {
		return fmt.Errorf("prepare the cluster: %w", err)
	}
	if err := c.publishDNS(ctx); err != nil {
		return err
	}
	if err := c.loadPolicies(ctx); err != nil {
		return err
	}
	c.client.SetAdmission(c.admission)
	group.Go(func() error { return c.server.Run(ctx) })
	group.Go(func() error { return c.follow.run(ctx) })
	group.Go(func() error {
		select {
		case <-c.server.Ready():
		case <-ctx.Done():
			return nil
		}
		if err := ready(); err != nil {
			return err
		}
		c.client.FillLate(ctx)
		restoreGC()
		group.Go(func() error { tuneHeap(ctx); return nil })
		return c.work.run(ctx)
	})
	return group.Wait()
}

func (c *controlPlane) close() error {
	close(c.done)
	if c.store == nil {
		return nil
	}
	return c.store.Close()
}

// url is how clients on this machine reach the API.
func (c *controlPlane) url() string {
	addr := c.listener.Addr().(*net.TCPAddr)
	host := addr.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	return "https://" + net.JoinHostPort(host.String(), strconv.Itoa(addr.Port))
}
