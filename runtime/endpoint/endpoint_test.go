package endpoint

import (
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// slice reads endpoints: the last digit of an address, then of what it is: r(eady) or
// t(erminating but serving) or n(either), then n=NODE and z=ZONE hints.
func slice(text string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Port: ptr.To(int32(80))}}}
	for _, word := range strings.Fields(text) {
		parts := strings.Split(word, ",")
		ep := discoveryv1.Endpoint{Addresses: []string{"10.0.0." + parts[0][:1]}, NodeName: ptr.To("node" + parts[0][:1])}
		ep.Conditions.Ready = ptr.To(parts[0][1] == 'r')
		ep.Conditions.Serving = ptr.To(parts[0][1] != 'n')
		ep.Conditions.Terminating = ptr.To(parts[0][1] == 't')
		for _, hint := range parts[1:] {
			if ep.Hints == nil {
				ep.Hints = &discoveryv1.EndpointHints{}
			}
			if kind, name, _ := strings.Cut(hint, "="); kind == "n" {
				ep.Hints.ForNodes = append(ep.Hints.ForNodes, discoveryv1.ForNode{Name: name})
			} else {
				ep.Hints.ForZones = append(ep.Hints.ForZones, discoveryv1.ForZone{Name: name})
			}
		}
		s.Endpoints = append(s.Endpoints, ep)
	}
	return s
}

func digits(list []Endpoint) (out string) {
	for _, ep := range list {
		out += strings.TrimPrefix(ep.Addr.Addr().String(), "10.0.0.")
	}
	return out
}

// TestNear asks for node1 in zone a.
func TestNear(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"1r 2r 3n 4t":                   "12",
		"3n 4t":                         "4",
		"1r,z=a 2r,z=b 3r,z=a,z=b":      "13",
		"1r,z=a 2r":                     "12", // one without a hint: all
		"2r,z=b 3r,z=c":                 "23", // none for here: all
		"1r,z=a 2r,z=b 4n 5t":           "1",  // what is not ready does not count
		"1r,n=node1,z=a 2r,n=node2,z=a": "1",
		"1r,n=node9,z=a 2r,n=node2,z=b": "1", // none for the node, but for the zone
		"4t,z=b":                        "4",
	} {
		all := Of("node1", corev1.ServicePort{Port: 80}, []*discoveryv1.EndpointSlice{slice(text)})
		if got := digits(all.Near("node1", "a").Usable()); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestOf: an address counts once, the ready one of two; Local is by node.
func TestOf(t *testing.T) {
	all := Of("node2", corev1.ServicePort{Port: 80}, []*discoveryv1.EndpointSlice{slice("1n 2r"), slice("1r 3t")})
	if got := digits(all.Usable()); got != "12" {
		t.Errorf("usable: %s", got)
	}
	if got := digits(all.Local().Ready()); got != "2" {
		t.Errorf("local: %s", got)
	}
	if got := all.Usable()[0].Addr; got != netip.MustParseAddrPort("10.0.0.1:80") {
		t.Errorf("address: %s", got)
	}
}
