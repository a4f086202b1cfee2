// Package endpoint decides which endpoints of a Service's port connections may go to.
// It is pure: EndpointSlices in, addresses out; whoever sends connections there
// (Service rules, the ingress proxy) asks it.
package endpoint

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Endpoint is one way into a backend.
type Endpoint struct {
	Addr  netip.AddrPort
	Local bool // on the node that was asked for
}

// candidate is an endpoint with what decides whether it may be used.
type candidate struct {
	Endpoint
	ready, fallback bool // fallback: still serving while it terminates
	// nodes and zones that the slice means it for; empty: it does not say.
	nodes, zones []string
}

// Candidates are the endpoints of one port, usable or not.
type Candidates []candidate

// Of are all endpoints of a port, each address once, in a fixed order.
func Of(node string, port corev1.ServicePort, list []*discoveryv1.EndpointSlice) Candidates {
	byAddr := map[netip.AddrPort]candidate{}
	for _, s := range list {
		number, ok := slicePort(s, port)
		if !ok {
			continue
		}
		for _, ep := range s.Endpoints {
			c, ok := candidateOf(node, ep, number)
			if old, dup := byAddr[c.Addr]; ok && (!dup || !old.ready) {
				byAddr[c.Addr] = c
			}
		}
	}
	out := make(Candidates, 0, len(byAddr))
	for _, c := range byAddr {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b candidate) int { return a.Addr.Compare(b.Addr) })
	return out
}

func candidateOf(node string, ep discoveryv1.Endpoint, port uint16) (candidate, bool) {
	if len(ep.Addresses) == 0 {
		return candidate{}, false
	}
	ip, err := netip.ParseAddr(ep.Addresses[0])
	if err != nil {
		return candidate{}, false
	}
	ready := orDefault(ep.Conditions.Ready, true)
	serving := orDefault(ep.Conditions.Serving, ready)
	terminating := orDefault(ep.Conditions.Terminating, false)
	c := candidate{
		Endpoint: Endpoint{Addr: netip.AddrPortFrom(ip, port), Local: ep.NodeName != nil && *ep.NodeName == node},
		ready:    ready,
		fallback: serving && terminating,
	}
	if h := ep.Hints; h != nil {
		for _, n := range h.ForNodes {
			c.nodes = append(c.nodes, n.Name)
		}
		for _, z := range h.ForZones {
			c.zones = append(c.zones, z.Name)
		}
	}
	return c, true
}

// slicePort is the target of the Service's port in a slice, matched by name.
func slicePort(s *discoveryv1.EndpointSlice, port corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		name, proto := orDefault(p.Name, ""), orDefault(p.Protocol, corev1.ProtocolTCP)
		if name == port.Name && proto == cmp.Or(port.Protocol, corev1.ProtocolTCP) && p.Port != nil {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

// Local are those on the node that was asked for.
func (list Candidates) Local() (out Candidates) {
	for _, c := range list {
		if c.Endpoint.Local {
			out = append(out, c)
		}
	}
	return out
}

// Near are those that EndpointSlices mean for the node, or else for its zone. Hints
// count only if every ready endpoint has one and some name this place: otherwise
// nobody would serve it, or the load would not be spread as it was planned.
func (list Candidates) Near(node, zone string) Candidates {
	for _, hints := range []struct {
		of    func(candidate) []string
		place string
	}{
		{func(c candidate) []string { return c.nodes }, node},
		{func(c candidate) []string { return c.zones }, zone},
	} {
		var near Candidates
		complete := true
		for _, c := range list {
			if !c.ready {
				continue
			}
			named := hints.of(c)
			complete = complete && len(named) > 0
			if slices.Contains(named, hints.place) {
				near = append(near, c)
			}
		}
		if complete && len(near) > 0 {
			return near
		}
	}
	return list
}

// Ready are the endpoints that take new connections.
func (list Candidates) Ready() (out []Endpoint) {
	for _, c := range list {
		if c.ready {
			out = append(out, c.Endpoint)
		}
	}
	return out
}

// Usable are the ready endpoints; only if there is none, those that terminate
// but still serve.
func (list Candidates) Usable() []Endpoint {
	if ready := list.Ready(); len(ready) > 0 {
		return ready
	}
	var out []Endpoint
	for _, c := range list {
		if c.fallback {
			out = append(out, c.Endpoint)
		}
	}
	return out
}

func orDefault[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
