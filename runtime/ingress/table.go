package ingress

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// classAnnotation named the class before spec.ingressClassName did.
const classAnnotation = "kubernetes.io/ingress.class"

// Table is what all Ingresses of a moment say, ready to be asked. It is not changed
// once it is built.
type Table struct {
	// hosts by name, by "*.suffix" for one more label, and "" for every host.
	hosts map[string][]route
	// certs by the same keys; "" is the one of clients that name no host.
	certs map[string]*tls.Certificate
	// services and secrets that the table follows from, as namespace/name.
	services, secrets map[objectKey]bool
	// problems are what users should mend, in a fixed order.
	problems []string
	// size is the number of Ingresses served.
	size int
}

type objectKey struct{ namespace, name string }

func (k objectKey) String() string { return k.namespace + "/" + k.name }

// route leads paths of a host to a backend. The routes of a host are in the order in
// which they are tried.
type route struct {
	path    string // no slash at its end, unless exact
	exact   bool
	backend *Backend
	// last is the default backend of an Ingress: tried after all paths.
	last bool
}

// Backend is where requests go.
type Backend struct {
	// Ingress and Target name it for people: namespace/name, namespace/name:port.
	Ingress, Target string
	Protocol        Protocol
	Endpoints       []netip.AddrPort
	// Broken says why there are no endpoints.
	Broken string
}

// Protocol is what a backend speaks.
type Protocol string

// The protocols of backends, by the Service port's appProtocol.
const (
	ProtocolHTTP  Protocol = "http"
	ProtocolHTTPS Protocol = "https"
	ProtocolH2C   Protocol = "h2c" // HTTP/2 without TLS, as gRPC servers speak
)

// Lookup is the backend for a request: of the most specific host that has a path for
// it, the longest path, the exact one first. None: nobody serves it.
func (t *Table) Lookup(host, path string) *Backend {
	for _, name := range hostKeys(host) {
		for _, r := range t.hosts[name] {
			if r.matches(path) {
				return r.backend
			}
		}
	}
	return nil
}

// Certificate is the one for a server name; nil if there is none.
func (t *Table) Certificate(serverName string) *tls.Certificate {
	for _, name := range hostKeys(serverName) {
		if c := t.certs[name]; c != nil {
			return c
		}
	}
	return nil
}

// hostKeys are the keys that a host is found by, the most specific first. A wildcard
// stands for exactly one label.
func hostKeys(host string) []string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, rest, ok := strings.Cut(host, "."); ok {
		return []string{host, "*." + rest, ""}
	}
	if host == "" {
		return []string{""}
	}
	return []string{host, ""}
}

// matches compares prefixes by path elements: /a matches /a, /a/ and /a/b, not /ab.
func (r *route) matches(path string) bool {
	if r.exact {
		return path == r.path
	}
	rest, ok := strings.CutPrefix(path, r.path)
	return ok && (rest == "" || rest[0] == '/')
}

// order puts what is tried first first; equals stay in the order of their Ingresses'
// age.
func order(a, b route) int {
	if a.last != b.last {
		if a.last {
			return 1
		}
		return -1
	}
	if a.exact && b.exact || !a.exact && !b.exact {
		return cmp.Compare(len(b.path), len(a.path))
	}
	// "/a/" exact is as long as "/a" of a prefix: what counts is the elements.
	if c := cmp.Compare(len(strings.TrimSuffix(b.path, "/")), len(strings.TrimSuffix(a.path, "/"))); c != 0 {
		return c
	}
	if a.exact {
		return -1
	}
	return 1
}

// older is the order in which Ingresses may claim a host and path.
func older(a, b *networkingv1.Ingress) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Served says whether an Ingress is of one of the classes.
func Served(ing *networkingv1.Ingress, classes map[string]bool) bool {
	if ing.DeletionTimestamp != nil {
		return false
	}
	if name := ing.Spec.IngressClassName; name != nil {
		return classes[*name]
	}
	return classes[ing.Annotations[classAnnotation]]
}

// Classes are the names of those that name the controller.
func Classes(list []*networkingv1.IngressClass, controller string) map[string]bool {
	out := map[string]bool{}
	for _, c := range list {
		if c.Spec.Controller == controller {
			out[c.Name] = true
		}
	}
	return out
}

// Build makes the table of the Ingresses that are served. objects must not change
// while it runs.
func Build(ingresses []*networkingv1.Ingress, objects Objects) *Table {
	b := builder{objects: objects, table: &Table{
		hosts: map[string][]route{}, certs: map[string]*tls.Certificate{},
		services: map[objectKey]bool{}, secrets: map[objectKey]bool{}, size: len(ingresses),
	}}
	for _, ing := range slices.SortedFunc(slices.Values(ingresses), older) {
		b.add(ing)
	}
	for _, routes := range b.table.hosts {
		slices.SortStableFunc(routes, order)
	}
	return b.table
}
