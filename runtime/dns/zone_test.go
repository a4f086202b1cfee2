package dns

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name}
}

func service(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Ports: ports}}
}

func externalName(name, target string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: target}}
}

func endpoint(ip, hostname string, ready bool) discoveryv1.Endpoint {
	ep := discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
	if hostname != "" {
		ep.Hostname = &hostname
	}
	return ep
}

func slice(svc, port string, number int32, eps ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta(svc + "-1"), AddressType: discoveryv1.AddressTypeIPv4, Endpoints: eps}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: svc}
	s.Ports = []discoveryv1.EndpointPort{{Name: &port, Port: &number}}
	return s
}

// someCluster is what the tests ask about.
func someCluster() []runtime.Object {
	dual := service("dual", "10.96.0.6")
	dual.Spec.ClusterIPs = append(dual.Spec.ClusterIPs, "fd00:96::6")
	many := slice("many", "p", 1)
	for i := range 100 {
		many.Endpoints = append(many.Endpoints, endpoint(fmt.Sprintf("10.244.9.%d", i+1), "", true))
	}
	return []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		service("web", "10.96.0.5", corev1.ServicePort{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, corev1.ServicePort{Name: "metrics", Port: 9090}),
		dual,
		service("db", corev1.ClusterIPNone),
		slice("db", "pg", 5432, endpoint("10.244.0.20", "db-0", true), endpoint("10.244.0.21", "", true), endpoint("10.244.0.22", "db-9", false)),
		service("empty", corev1.ClusterIPNone),
		service("many", corev1.ClusterIPNone), many,
		externalName("inner", "web.default.svc.cluster.local"),
		externalName("outer", "example.org"),
		externalName("step", "inner.default.svc.cluster.local"),
		externalName("circle", "circle.default.svc.cluster.local"),
	}
}

// newServer is a Server over a fake API, its informers synced.
func newServer(t testing.TB, resolvConf string) *Server {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(someCluster()...), 0)
	s, err := New(Config{
		ServiceIP:      netip.MustParseAddr("10.96.0.10"),
		ResolvConf:     resolvConf,
		Namespaces:     factory.Core().V1().Namespaces(),
		Services:       factory.Core().V1().Services(),
		EndpointSlices: factory.Discovery().V1().EndpointSlices(),
	})
	if err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	if !cache.WaitForCacheSync(t.Context().Done(), s.view.synced) {
		t.Fatal("informers did not start")
	}
	return s
}

// TestNames asks for each name and prints what comes back, records sorted.
func TestNames(t *testing.T) {
	s := newServer(t, "/nowhere/resolv.conf")
	datadriven.RunTest(t, "testdata/names", func(t *testing.T, d *datadriven.TestData) string {
		m := new(dns.Msg).SetQuestion(d.CmdArgs[0].Key, dns.StringToType[d.CmdArgs[1].Key])
		out := s.respond(t.Context(), m, "udp")
		if len(out.Answer) == 0 && out.Authoritative != (len(out.Ns) == 1) {
			t.Errorf("%s: an absence without SOA", d.Pos)
		}
		return dns.RcodeToString[out.Rcode] + "\n" + records("", out.Answer) + records("extra ", out.Extra)
	})
}

func records(prefix string, rrs []dns.RR) string {
	var lines []string
	for _, rr := range rrs {
		lines = append(lines, prefix+strings.ReplaceAll(rr.String(), "\t", " ")+"\n")
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

func TestParseReverse(t *testing.T) {
	for name, want := range map[string]string{
		"5.0.96.10.in-addr.arpa.":  "10.96.0.5",
		"5.0.96.in-addr.arpa.":     "",
		"5.0.96.256.in-addr.arpa.": "",
		"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa.": "fd00:96::6",
		"example.org.": "",
	} {
		ip, ok := parseReverse(name)
		if ok != (want != "") || ok && ip.String() != want {
			t.Errorf("%s: %s, %v; want %q", name, ip, ok, want)
		}
	}
}
