package apiserver_test

import (
	"net/url"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/pintle-io/pintle/engine/apiserver"
)

func TestServicesAreFoundByTheirEndpoints(t *testing.T) {
	service := func(name string, spec corev1.ServiceSpec) *corev1.Service {
		if spec.Type == "" {
			spec.Type = corev1.ServiceTypeClusterIP
		}
		spec.Ports = []corev1.ServicePort{{Name: "https", Port: 443}}
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: spec}
	}
	slice := func(name string, ready bool) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
			Ports:       []discoveryv1.EndpointPort{{Name: new("https"), Port: new(int32(8443))}},
		}
	}
	factory := informers.NewSharedInformerFactory(fake.NewClientset(
		service("ready", corev1.ServiceSpec{ClusterIP: "10.96.0.9"}), slice("ready", true),
		service("waiting", corev1.ServiceSpec{ClusterIP: "10.96.0.10"}), slice("waiting", false),
		service("headless", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}), slice("headless", true),
		service("elsewhere", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}),
	), 0)
	resolver, err := apiserver.NewServiceResolver(factory, &url.URL{Scheme: "https", Host: "127.0.0.1:6443"})
	if err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	for _, c := range []struct {
		namespace, name string
		port            int32
		want            string // an address or an error
	}{
		{"default", "kubernetes", 443, "https://127.0.0.1:6443"},
		{"ns", "ready", 443, "https://10.0.0.7:8443"},
		{"ns", "headless", 443, "https://10.0.0.7:8443"},
		{"ns", "elsewhere", 444, "https://example.com:444"},
		{"ns", "waiting", 443, `no endpoints available for service "waiting"`},
		{"ns", "ready", 80, `no service port 80 found for service "ready"`},
		{"ns", "absent", 443, `service "absent" not found`},
	} {
		got := ""
		if u, err := resolver.ResolveEndpoint(c.namespace, c.name, c.port); err != nil {
			got = err.Error()
		} else {
			got = u.String()
		}
		if got != c.want {
			t.Errorf("%s/%s:%d: got %s, want %s", c.namespace, c.name, c.port, got, c.want)
		}
	}
}
