package discovery

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func slice() *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "web-1", Namespace: "default", ResourceVersion: "1"},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
		Ports:       []discoveryv1.EndpointPort{{Port: ptr.To(int32(80))}},
	}
}

func TestEndpointSlice(t *testing.T) {
	apistest.RunCreate(t, endpointSlices(), slice, map[string]apistest.Case[*discoveryv1.EndpointSlice]{
		"no type":      {Change: func(s *discoveryv1.EndpointSlice) { s.AddressType = "" }, Want: []string{"addressType: Required value"}},
		"type":         {Change: func(s *discoveryv1.EndpointSlice) { s.AddressType = "MAC" }, Want: []string{"addressType: Unsupported value"}},
		"no addresses": {Change: func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = nil }, Want: []string{"endpoints[0].addresses: Required value"}},
		"family":       {Change: func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "fd00::1" }, Want: []string{"endpoints[0].addresses[0]: Invalid value"}},
		"loopback":     {Change: func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "127.0.0.1" }, Want: []string{"endpoints[0].addresses[0]: Invalid value"}},
		"host name":    {Change: func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Hostname = ptr.To("A") }, Want: []string{"endpoints[0].hostname: Invalid value"}},
		"same name":    {Change: func(s *discoveryv1.EndpointSlice) { s.Ports = append(s.Ports, discoveryv1.EndpointPort{}) }, Want: []string{"ports[1].name: Duplicate value"}},
		"protocol":     {Change: func(s *discoveryv1.EndpointSlice) { s.Ports[0].Protocol = ptr.To(corev1.Protocol("X")) }, Want: []string{"ports[0].protocol: Unsupported value"}},
	})
	apistest.RunUpdate(t, endpointSlices(), slice, map[string]apistest.Case[*discoveryv1.EndpointSlice]{
		"endpoints": {Change: func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "10.0.0.2" }},
		"type":      {Change: func(s *discoveryv1.EndpointSlice) { s.AddressType, s.Endpoints = discoveryv1.AddressTypeIPv6, nil }, Want: []string{"addressType: Invalid value"}},
	})
}

func TestEndpointSliceGenerationAndCells(t *testing.T) {
	old := slice()
	if errs := apistest.Create(endpointSlices(), old); len(errs) > 0 || old.Generation != 1 {
		t.Fatalf("generation %d, %v", old.Generation, errs.ToAggregate())
	}
	s := old.DeepCopy()
	s.Annotations = map[string]string{"a": "b"}
	if apistest.Update(endpointSlices(), s, old); s.Generation != 1 {
		t.Error("annotations counted as a generation")
	}
	s.Labels = map[string]string{"a": "b"}
	if apistest.Update(endpointSlices(), s, old); s.Generation != 2 {
		t.Error("labels did not count as a generation")
	}
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"a", "b"}}, {Addresses: []string{"c", "d"}}}
	cells := apistest.Cells(endpointSlices(), s)
	if cells["Endpoints"] != "a,b,c + 1 more..." || cells["Ports"] != "80" {
		t.Errorf("cells: %v", cells)
	}
}
