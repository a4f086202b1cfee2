package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
)

// extension is an API server of another group, which remembers who asked.
type extension struct {
	mu struct {
		sync.Mutex
		user, certificate string
	}
}

func (x *extension) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var answer any
	switch req.URL.Path {
	case "/apis/fruit.example.com/v1":
		answer = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "fruit.example.com/v1",
			APIResources: []metav1.APIResource{{Name: "apples", SingularName: "apple", Kind: "Apple", Verbs: metav1.Verbs{"get"}}},
		}
	case "/apis/fruit.example.com/v1/apples/red":
		x.mu.Lock()
		x.mu.user = req.Header.Get("X-Remote-User")
		if len(req.TLS.PeerCertificates) > 0 {
			x.mu.certificate = req.TLS.PeerCertificates[0].Subject.CommonName
		}
		x.mu.Unlock()
		answer = map[string]any{"kind": "Apple", "apiVersion": "fruit.example.com/v1", "metadata": map[string]any{"name": "red"}}
	default:
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// frontProxyFile writes a client certificate with its key.
func frontProxyFile(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
	file := filepath.Join(t.TempDir(), "front-proxy.pem")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// An extension server is reached over TLS, is told who asks, and is in discovery
// while it is available; what is built in has APIServices too.
func TestAggregation(t *testing.T) {
	fruit := &extension{}
	backend := httptest.NewUnstartedServer(fruit)
	backend.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	backend.StartTLS()
	defer backend.Close()
	port := backend.Listener.Addr().(*net.TCPAddr).Port

	e := start(t, func(reg *registry.Config, cfg *apiserver.Config) {
		cfg.FrontProxy = apiserver.FrontProxy{File: frontProxyFile(t, "proxy"), Name: "proxy", CA: []byte("authority")}
		// The cluster address of the service is where the extension server listens.
		reg.ServiceCIDR = "127.0.0.0/24"
	})
	aggregator := aggregatorclient.NewForConfigOrDie(e.rest).ApiregistrationV1().APIServices()
	local, err := aggregator.Get(e.ctx, "v1.apps", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !available(local) {
		t.Errorf("v1.apps is not available: %+v", local.Status)
	}

	e.namespace(t, "fruit")
	extensionService(t, e, "127.0.0.1", port)
	_, err = aggregator.Create(e.ctx, &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.fruit.example.com"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "fruit.example.com", Version: "v1", GroupPriorityMinimum: 2000, VersionPriority: 10, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: "fruit", Name: "server", Port: new(int32(port))},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := aggregator.Watch(e.ctx, metav1.ListOptions{FieldSelector: "metadata.name=v1.fruit.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for !available(next(t, w).Object.(*apiregistrationv1.APIService)) {
	}

	if _, err := e.kube.CoreV1().RESTClient().Get().AbsPath("/apis/fruit.example.com/v1/apples/red").DoRaw(e.ctx); err != nil {
		t.Fatal(err)
	}
	fruit.mu.Lock()
	defer fruit.mu.Unlock()
	if diff := cmp.Diff([]string{"admin", "proxy"}, []string{fruit.mu.user, fruit.mu.certificate}); diff != "" {
		t.Errorf("identity the extension server saw:\n%s", diff)
	}
	list, err := e.kube.Discovery().ServerResourcesForGroupVersion("fruit.example.com/v1")
	if err != nil || len(list.APIResources) != 1 {
		t.Errorf("discovery: %v, %v", list, err)
	}
}

// extensionService makes a service at a given address with one ready endpoint.
func extensionService(t *testing.T, e *environment, address string, port int) {
	t.Helper()
	_, err := e.kube.CoreV1().Services("fruit").Create(e.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec:       corev1.ServiceSpec{ClusterIP: address, Ports: []corev1.ServicePort{{Port: int32(port), TargetPort: intstr.FromInt(port)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.kube.DiscoveryV1().EndpointSlices("fruit").Create(e.ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "server-" + strconv.Itoa(port), Labels: map[string]string{discoveryv1.LabelServiceName: "server"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(port)), Protocol: new(corev1.ProtocolTCP)}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func available(s *apiregistrationv1.APIService) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			return c.Status == apiregistrationv1.ConditionTrue
		}
	}
	return false
}
