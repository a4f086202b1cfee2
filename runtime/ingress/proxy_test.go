package ingress

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

var someTime = time.Unix(1700000000, 0)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

const annotation = "pintle.io/ingress-address"

// TestRun: the listeners are there while an Ingress is, and the Node says so.
func TestRun(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(echo))
	defer web.Close()
	at := addrPort(web.Listener.Addr().String())
	client := fake.NewClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "pintle"}, Spec: networkingv1.IngressClassSpec{Controller: "pintle.io/ingress"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
	)
	factory := informers.NewSharedInformerFactory(client, 0)
	plain, secure := addrPort(nobody(t)), addrPort(nobody(t))
	p, err := New(Config{
		NodeName: "node-1", Address: plain.Addr(), Port: plain.Port(), TLSPort: secure.Port(), Controller: "pintle.io/ingress",
		Annotation: annotation, Client: client, Informers: factory, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.StartWithContext(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	defer factory.Shutdown()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	awaitAnnotation(t, client, "")

	ing := parse(t, "metadata: {name: x}\nspec: {ingressClassName: pintle, defaultBackend: {service: {name: web, port: {number: 80}}}, tls: [{hosts: [web.example], secretName: cert}]}")[0]
	ing, err = client.NetworkingV1().Ingresses("ns").Create(ctx, ing, metav1.CreateOptions{})
	must(t, err)
	awaitAnnotation(t, client, "127.0.0.1")
	eventually(t, "HTTP 503", func() string { return get(plain) }, "503 Service Unavailable\ningress ns/x: service ns/web has no ready endpoint for port 80\n")
	_, err = client.DiscoveryV1().EndpointSlices("ns").Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Ports:      []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(at.Port()))}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{at.Addr().String()}}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, "an answer", func() string { s, _, _ := strings.Cut(get(plain), " "); return s }, "HTTP/1.1")

	must(t, client.NetworkingV1().Ingresses("ns").Delete(ctx, ing.Name, metav1.DeleteOptions{}))
	awaitAnnotation(t, client, "")
	eventually(t, "nobody listening", func() string { return get(plain) }, "")
}

func get(at netip.AddrPort) string {
	resp, err := http.Get("http://" + at.String())
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func awaitAnnotation(t *testing.T, client *fake.Clientset, want string) {
	t.Helper()
	eventually(t, "the node's annotation", func() string {
		node, err := client.CoreV1().Nodes().Get(t.Context(), "node-1", metav1.GetOptions{})
		must(t, err)
		if said, ok := node.Annotations[annotation]; ok {
			return said
		}
		return "none"
	}, want)
}

func eventually(t *testing.T, what string, got func() string, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for got() != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %q, want %q", what, got(), want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
