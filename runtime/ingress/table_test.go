package ingress

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// objects are Services and their endpoints by name, in namespace ns.
type objects struct {
	services map[string]*corev1.Service
	slices   map[string][]*discoveryv1.EndpointSlice
	certs    map[string]*tls.Certificate
}

func (o objects) Service(_, name string) *corev1.Service             { return o.services[name] }
func (o objects) Slices(_, name string) []*discoveryv1.EndpointSlice { return o.slices[name] }
func (o objects) Certificate(_, name string) (*tls.Certificate, error) {
	if c := o.certs[name]; c != nil {
		return c, nil
	}
	return nil, errors.New("does not exist")
}

// serve adds a Service with port 80 (name http) and its endpoints.
func (o *objects) serve(name string, app *string, at ...string) {
	if o.services == nil {
		o.services, o.slices = map[string]*corev1.Service{}, map[string][]*discoveryv1.EndpointSlice{}
	}
	o.services[name] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, AppProtocol: app}}}}
	o.slices[name] = nil
	for _, a := range at {
		ap := netip.MustParseAddrPort(a)
		o.slices[name] = append(o.slices[name], &discoveryv1.EndpointSlice{
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(ap.Port()))}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{ap.Addr().String()}}},
		})
	}
}

// parse reads Ingresses of namespace ns; each is a second younger than the last.
func parse(t *testing.T, text string) (out []*networkingv1.Ingress) {
	t.Helper()
	for i, doc := range strings.Split(text, "\n---\n") {
		ing := &networkingv1.Ingress{}
		if err := yaml.UnmarshalStrict([]byte(doc), ing); err != nil {
			t.Fatal(err)
		}
		ing.Namespace, ing.CreationTimestamp = "ns", metav1.Unix(int64(i), 0)
		out = append(out, ing)
	}
	return out
}

// at is a rule's path to the Service that is named after it.
func single(kind networkingv1.PathType, paths ...string) []*networkingv1.Ingress {
	rule := networkingv1.IngressRule{IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{}}}
	for _, p := range paths {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{Path: p, PathType: &kind,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: p, Port: networkingv1.ServiceBackendPort{Number: 80}}}})
	}
	return []*networkingv1.Ingress{{Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{rule}}}}
}

// TestPaths is the table of examples in the documentation of Ingress.
func TestPaths(t *testing.T) {
	const prefix, exact = networkingv1.PathTypePrefix, networkingv1.PathTypeExact
	for _, c := range []struct {
		kind  networkingv1.PathType
		paths string
		asked string
		want  string // the path whose backend is taken
	}{
		{prefix, "/", "/any/thing", "/"},
		{exact, "/foo", "/foo", "/foo"},
		{exact, "/foo", "/bar", ""},
		{exact, "/foo", "/foo/", ""},
		{exact, "/foo/", "/foo", ""},
		{prefix, "/foo", "/foo", "/foo"},
		{prefix, "/foo", "/foo/", "/foo"},
		{prefix, "/foo/", "/foo", "/foo/"},
		{prefix, "/foo/", "/foo/", "/foo/"},
		{prefix, "/aaa/bb", "/aaa/bbb", ""},
		{prefix, "/aaa/bbb", "/aaa/bbb", "/aaa/bbb"},
		{prefix, "/aaa/bbb/", "/aaa/bbb", "/aaa/bbb/"},
		{prefix, "/aaa/bbb", "/aaa/bbb/", "/aaa/bbb"},
		{prefix, "/aaa/bbb", "/aaa/bbb/ccc", "/aaa/bbb"},
		{prefix, "/aaa/bbb", "/aaa/bbbxyz", ""},
		{prefix, "/ /aaa", "/aaa/ccc", "/aaa"},
		{prefix, "/ /aaa", "/ccc", "/"},
		{prefix, "/aaa", "/ccc", ""},
		{prefix, "/a /a/b /a/b/c", "/a/b/x", "/a/b"},
		{networkingv1.PathTypeImplementationSpecific, "/foo", "/foo/bar", "/foo"},
	} {
		table := Build(single(c.kind, strings.Fields(c.paths)...), objects{})
		got := ""
		if b := table.Lookup("any.example", c.asked); b != nil {
			got = strings.TrimSuffix(strings.TrimPrefix(b.Target, "/"), ":80")
		}
		if got != c.want {
			t.Errorf("%s %s asked for %s: %q, want %q", c.kind, c.paths, c.asked, got, c.want)
		}
	}
}

const several = `
metadata: {name: shop}
spec:
  defaultBackend: {service: {name: shop-rest, port: {number: 80}}}
  rules:
  - host: Shop.Example
    http:
      paths:
      - {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {name: http}}}}
      - {path: /cart, pathType: Exact, backend: {service: {name: exact, port: {number: 80}}}}
---
metadata: {name: wild}
spec:
  rules:
  - host: "*.example"
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: wild, port: {number: 80}}}}
---
metadata: {name: late}
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /cart, pathType: Prefix, backend: {service: {name: thief, port: {number: 80}}}}
      - {path: /new, pathType: Prefix, backend: {service: {name: new, port: {number: 80}}}}
---
metadata: {name: everywhere}
spec:
  rules:
  - http:
      paths:
      - {path: /health, pathType: Exact, backend: {service: {name: health, port: {number: 80}}}}
`

func TestHosts(t *testing.T) {
	table := Build(parse(t, several), objects{})
	for asked, want := range map[string]string{
		"shop.example/cart":        "exact",
		"shop.example:8080/cart/1": "cart", // the older of two wins
		"SHOP.example./cart/1":     "cart",
		"shop.example/new":         "new",
		"shop.example/other":       "shop-rest",
		"shop.example/health":      "shop-rest", // the host's own before every host's
		"a.example/x":              "wild",
		"a.b.example/x":            "shop-rest", // a wildcard is one label
		"example/x":                "shop-rest",
		"elsewhere/health":         "health",
		"10.0.0.1/health":          "health",
		"[fd00::1]:80/health":      "health",
	} {
		host, path, _ := strings.Cut(asked, "/")
		got := ""
		if b := table.Lookup(host, "/"+path); b != nil {
			got = strings.TrimPrefix(b.Target, "ns/")
			got, _, _ = strings.Cut(got, ":")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
}

func TestBackends(t *testing.T) {
	var o objects
	o.serve("good", nil, "10.0.0.1:8080", "10.0.0.2:8080")
	o.serve("grpc", ptr.To("kubernetes.io/h2c"), "10.0.0.3:9000")
	o.serve("empty", nil)
	o.serve("outside", nil)
	o.services["outside"].Spec.Type = corev1.ServiceTypeExternalName
	type result struct {
		Endpoints int
		Protocol  Protocol
		Broken    string
	}
	for name, want := range map[string]result{
		"good 80":    {2, ProtocolHTTP, ""},
		"good http":  {2, ProtocolHTTP, ""},
		"good 81":    {0, ProtocolHTTP, "service ns/good has no TCP port 81"},
		"good nil":   {0, ProtocolHTTP, "service ns/good has no TCP port nil"},
		"grpc 80":    {1, ProtocolH2C, ""},
		"empty 80":   {0, ProtocolHTTP, "service ns/empty has no ready endpoint for port 80"},
		"missing 80": {0, ProtocolHTTP, "service ns/missing does not exist"},
		"outside 80": {0, ProtocolHTTP, "service ns/outside is of type ExternalName, which has no endpoints"},
		"":           {0, ProtocolHTTP, "its backend is no Service, and nothing else is served"},
	} {
		service, port, _ := strings.Cut(name, " ")
		text := "{resource: {kind: Bucket, name: b}}"
		if name != "" {
			key := "number"
			if strings.Trim(port, "0123456789") != "" {
				key = "name"
			}
			text = "{service: {name: " + service + ", port: {" + key + ": " + port + "}}}"
		}
		b := Build(parse(t, "metadata: {name: x}\nspec: {defaultBackend: "+text+"}"), o).Lookup("h", "/")
		if diff := cmp.Diff(want, result{len(b.Endpoints), b.Protocol, b.Broken}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCertificates(t *testing.T) {
	one, two, rest := &tls.Certificate{}, &tls.Certificate{}, &tls.Certificate{}
	table := Build(parse(t, `
metadata: {name: a}
spec:
  tls:
  - {hosts: [a.example], secretName: missing}
  - {hosts: ["*.example"], secretName: two}
---
metadata: {name: b}
spec: {tls: [{hosts: [A.example], secretName: one}]}
---
metadata: {name: c}
spec: {tls: [{hosts: [a.example], secretName: two}, {secretName: rest}, {hosts: [d.example]}]}
`), objects{certs: map[string]*tls.Certificate{"one": one, "two": two, "rest": rest}})
	for host, want := range map[string]*tls.Certificate{"a.example": one, "b.example": two, "x.b.example": rest, "": rest, "other": rest} {
		if got := table.Certificate(host); got != want {
			t.Errorf("%q: the wrong certificate", host)
		}
	}
	if want := []string{"ingress ns/a: TLS secret missing: does not exist"}; !cmp.Equal(want, table.problems) {
		t.Errorf("problems: %q", table.problems)
	}
}

func TestServed(t *testing.T) {
	classes := Classes([]*networkingv1.IngressClass{
		{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, Spec: networkingv1.IngressClassSpec{Controller: "pintle.io/ingress"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/other"}},
	}, "pintle.io/ingress")
	now := metav1.NewTime(time.Unix(0, 0))
	for name, c := range map[string]struct {
		ing  networkingv1.Ingress
		want bool
	}{
		"by field":      {networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: ptr.To("mine")}}, true},
		"by annotation": {networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{classAnnotation: "mine"}}}, true},
		"of another":    {networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: ptr.To("other")}}, false},
		"of none":       {networkingv1.Ingress{}, false},
		"deleted":       {networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Spec: networkingv1.IngressSpec{IngressClassName: ptr.To("mine")}}, false},
	} {
		if got := Served(&c.ing, classes); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
