package apiserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// environment is a running server over a store of its own.
type environment struct {
	server   *apiserver.Server
	registry *registry.Registry
	rest     *rest.Config
	kube     kubernetes.Interface
	ctx      context.Context
	// stop tells the server to end, which ended then reports.
	stop  context.CancelFunc
	ended chan error
}

// start runs a server until the test ends; edit may change its configuration.
func start(t testing.TB, edit ...func(*registry.Config, *apiserver.Config)) *environment {
	t.Helper()
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reg := registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: db}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert := selfSigned(t)
	cfg := apiserver.Config{
		Authenticator: administrator,
		Authorizer:    authorizerfactory.NewAlwaysAllowAuthorizer(),
		Listener:      listener,
		Certificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
	}
	for _, f := range edit {
		f(&reg, &cfg)
	}
	e := &environment{}
	if e.registry, err = registry.New(reg); err != nil {
		t.Fatal(err)
	}
	inside, err := client.New(client.Config{Storages: e.registry, Table: served.Table(), Scheme: served.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Registry, cfg.Loopback, cfg.Informers = e.registry, inside.RESTConfig(), inside.Informers()
	if cfg.Services, err = apiserver.NewServiceResolver(inside.Informers(), nil); err != nil {
		t.Fatal(err)
	}
	if e.server, err = apiserver.New(cfg); err != nil {
		t.Fatal(err)
	}
	inside.SetHandler(e.server.Handler())
	e.rest = &rest.Config{
		Host: "https://" + listener.Addr().String(), TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: -1,
	}
	e.kube = kubernetes.NewForConfigOrDie(e.rest)
	ctx, cancel := context.WithCancel(context.Background())
	e.ctx, e.stop = ctx, cancel
	done := make(chan error, 1)
	e.ended = done
	go func() { done <- e.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("run:", err)
		}
		if err := db.Close(); err != nil {
			t.Error("close store:", err)
		}
	})
	select {
	case <-e.server.Ready():
	case err := <-done:
		t.Fatal("server ended:", err)
	}
	return e
}

// administrator takes everybody for one.
var administrator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
	return &authenticator.Response{User: &user.DefaultInfo{
		Name: "admin", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated},
	}}, true, nil
})

func selfSigned(t testing.TB) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// namespace creates a namespace for one test.
func (e *environment) namespace(t testing.TB, name string) string {
	t.Helper()
	_, err := e.kube.CoreV1().Namespaces().Create(e.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestServesFromTheFirstConnection(t *testing.T) {
	e := start(t)
	e.namespace(t, "a")
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Data: map[string]string{"k": "v"}}
	created, err := e.kube.CoreV1().ConfigMaps("a").Create(e.ctx, configMap, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if created.UID == "" || created.ResourceVersion == "" || len(created.ManagedFields) != 1 {
		t.Errorf("created object lacks system fields: %+v", created.ObjectMeta)
	}
	list, err := e.kube.CoreV1().ConfigMaps("").List(e.ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Data["k"] != "v" {
		t.Errorf("list: %+v", list.Items)
	}
	version, err := e.kube.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Minor != "37" || version.GitVersion != "v1.37.2+pintle" {
		t.Errorf("version: %+v", version)
	}
}
