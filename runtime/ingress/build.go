package ingress

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pintle-io/pintle/runtime/endpoint"
)

// Objects are what Ingresses refer to. What does not exist is nil.
type Objects interface {
	Service(namespace, name string) *corev1.Service
	Slices(namespace, service string) []*discoveryv1.EndpointSlice
	// Certificate is that of a TLS Secret, or why there is none.
	Certificate(namespace, secret string) (*tls.Certificate, error)
}

type builder struct {
	objects Objects
	table   *Table
}

func (b *builder) add(ing *networkingv1.Ingress) {
	name := objectKey{ing.Namespace, ing.Name}
	var fallback *Backend
	if ing.Spec.DefaultBackend != nil {
		fallback = b.backend(name, ing.Spec.DefaultBackend)
		b.fallback("", fallback)
	}
	for _, rule := range ing.Spec.Rules {
		host := strings.ToLower(rule.Host)
		if rule.HTTP != nil {
			for i := range rule.HTTP.Paths {
				p := &rule.HTTP.Paths[i]
				b.route(host, path(p, b.backend(name, &p.Backend)))
			}
		}
		if fallback != nil && host != "" {
			b.fallback(host, fallback)
		}
	}
	for _, t := range ing.Spec.TLS {
		b.certificate(name, t)
	}
}

// path is the route of one path. ImplementationSpecific is taken for a prefix.
func path(p *networkingv1.HTTPIngressPath, backend *Backend) route {
	r := route{path: p.Path, backend: backend}
	if p.PathType != nil && *p.PathType == networkingv1.PathTypeExact {
		r.exact = true
	} else {
		r.path = strings.TrimRight(r.path, "/")
	}
	return r
}

func (b *builder) route(host string, r route) {
	b.table.hosts[host] = append(b.table.hosts[host], r)
}

func (b *builder) fallback(host string, backend *Backend) {
	b.route(host, route{backend: backend, last: true})
}

// certificate gives the hosts of an entry its certificate, unless an older Ingress
// did. An entry without hosts is for whoever asks for none that is known.
func (b *builder) certificate(ing objectKey, entry networkingv1.IngressTLS) {
	if entry.SecretName == "" {
		return // the controller's own certificate is wanted
	}
	b.table.secrets[objectKey{ing.namespace, entry.SecretName}] = true
	cert, err := b.objects.Certificate(ing.namespace, entry.SecretName)
	if errors.Is(err, errNotRead) {
		return
	}
	if err != nil {
		b.problem(ing, "TLS secret %s: %v", entry.SecretName, err)
		return
	}
	hosts := entry.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, h := range hosts {
		if h = strings.ToLower(h); b.table.certs[h] == nil {
			b.table.certs[h] = cert
		}
	}
}

func (b *builder) problem(ing objectKey, format string, args ...any) {
	b.table.problems = append(b.table.problems, "ingress "+ing.String()+": "+fmt.Sprintf(format, args...))
}

// backend finds the endpoints of a rule's backend.
func (b *builder) backend(ing objectKey, ref *networkingv1.IngressBackend) *Backend {
	out := &Backend{Ingress: ing.String(), Protocol: ProtocolHTTP}
	if ref.Service == nil {
		out.Broken = "its backend is no Service, and nothing else is served"
		b.problem(ing, "%s", out.Broken)
		return out
	}
	name := objectKey{ing.namespace, ref.Service.Name}
	wanted := ref.Service.Port.Name
	if wanted == "" {
		wanted = fmt.Sprint(ref.Service.Port.Number)
	}
	out.Target = name.String() + ":" + wanted
	b.table.services[name] = true
	svc := b.objects.Service(name.namespace, name.name)
	if svc == nil {
		out.Broken = fmt.Sprintf("service %s does not exist", name)
	} else if svc.Spec.Type == corev1.ServiceTypeExternalName {
		out.Broken = fmt.Sprintf("service %s is of type ExternalName, which has no endpoints", name)
	} else if port, ok := servicePort(svc, ref.Service.Port); !ok {
		out.Broken = fmt.Sprintf("service %s has no TCP port %s", name, wanted)
	} else {
		out.Protocol = protocol(port.AppProtocol)
		for _, ep := range endpoint.Of("", port, b.objects.Slices(name.namespace, name.name)).Usable() {
			out.Endpoints = append(out.Endpoints, ep.Addr)
		}
		if len(out.Endpoints) == 0 {
			out.Broken = fmt.Sprintf("service %s has no ready endpoint for port %s", name, wanted)
		}
		return out // that is for the time being, and no mistake of the Ingress
	}
	b.problem(ing, "%s", out.Broken)
	return out
}

func servicePort(svc *corev1.Service, ref networkingv1.ServiceBackendPort) (corev1.ServicePort, bool) {
	for _, p := range svc.Spec.Ports {
		byName := ref.Name != "" && p.Name == ref.Name
		byNumber := ref.Name == "" && p.Port == ref.Number
		if (byName || byNumber) && cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}

func protocol(app *string) Protocol {
	if app == nil {
		return ProtocolHTTP
	}
	switch strings.ToLower(*app) {
	case "https":
		return ProtocolHTTPS
	case "kubernetes.io/h2c", "h2c", "grpc":
		return ProtocolH2C
	}
	return ProtocolHTTP
}
