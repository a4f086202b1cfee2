package proxy

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestHealthOf(t *testing.T) {
	svc := func(name string, kind corev1.ServiceType, port int32) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{
			Type: kind, HealthCheckNodePort: port, Ports: []corev1.ServicePort{{Name: "a", Port: 80}, {Name: "b", Port: 81}}}}
	}
	endpoint := func(ip, node string, ready, terminating bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: ptr.To(true), Terminating: &terminating}}
	}
	slice := func(name, service string, family discoveryv1.AddressType, eps ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			AddressType: family, Endpoints: eps,
			Ports: []discoveryv1.EndpointPort{{Name: ptr.To("a"), Port: ptr.To(int32(8080))}, {Name: ptr.To("b"), Port: ptr.To(int32(8081))}},
		}
	}
	got := healthOf("here", snapshot{
		[]*corev1.Service{
			svc("web", corev1.ServiceTypeLoadBalancer, 30001), svc("far", corev1.ServiceTypeLoadBalancer, 30002),
			svc("off", corev1.ServiceTypeNodePort, 30003), svc("plain", corev1.ServiceTypeLoadBalancer, 0),
		},
		backends([]*discoveryv1.EndpointSlice{
			slice("w1", "web", discoveryv1.AddressTypeIPv4, endpoint("10.0.0.1", "here", true, false), endpoint("10.0.0.2", "here", false, true), endpoint("10.0.0.3", "there", true, false)),
			slice("w2", "web", discoveryv1.AddressTypeIPv4, endpoint("10.0.0.1", "here", true, false), endpoint("10.0.0.4", "here", true, false)),
			slice("f1", "far", discoveryv1.AddressTypeIPv4, endpoint("10.0.0.5", "there", true, false)),
		})})
	want := map[uint16]health{30001: {"ns", "web", 2}, 30002: {"ns", "far", 0}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(health{})); diff != "" {
		t.Error(diff)
	}
}

func TestHealthServers(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	must(t, err)
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	h := healthServers{open: map[uint16]*healthServer{}, log: discard()}
	defer h.close()
	if err := h.sync(t.Context(), map[uint16]health{port: {"ns", "web", 1}}); err == nil {
		t.Error("the port is taken, and nobody says so")
	}
	must(t, l.Close())
	get := func() (int, string, string) {
		resp, err := http.Get("http://127.0.0.1:" + strconv.Itoa(int(port)))
		if err != nil {
			return 0, "", ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, resp.Header.Get("X-Load-Balancing-Endpoint-Weight"), string(body)
	}
	for _, c := range []struct {
		local, status int
		weight        string
	}{{2, 200, "2"}, {0, 503, "0"}} {
		must(t, h.sync(t.Context(), map[uint16]health{port: {"ns", "web", c.local}}))
		status, weight, body := get()
		want := "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": " + c.weight + ",\n\t\"serviceProxyHealthy\": true\n}\n"
		if status != c.status || weight != c.weight || body != want {
			t.Errorf("%d local endpoints: %d, weight %s, %s", c.local, status, weight, body)
		}
	}
	must(t, h.sync(t.Context(), nil))
	if status, _, _ := get(); status != 0 {
		t.Errorf("the port answers %d after the Service went", status)
	}
}
