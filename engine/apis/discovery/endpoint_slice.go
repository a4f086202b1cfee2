package discovery

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func endpointSlices() apis.Resource {
	rules := apis.TypedRules[*discoveryv1.EndpointSlice]{
		Default: defaultEndpointSlice,
		PrepareForCreate: func(_ context.Context, s *discoveryv1.EndpointSlice) {
			s.Generation = 1
			for i := range s.Endpoints {
				s.Endpoints[i].DeprecatedTopology = nil
			}
		},
		PrepareForUpdate: prepareUpdate,
		Validate:         validateCreate,
		ValidateUpdate:   validateUpdate,
		WarningsOnCreate: func(_ context.Context, s *discoveryv1.EndpointSlice) []string { return warnings(s) },
		WarningsOnUpdate: func(_ context.Context, s, _ *discoveryv1.EndpointSlice) []string { return warnings(s) },
	}.Rules()
	return apis.Resource{
		GVK: discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), Plural: "endpointslices", Singular: "endpointslice", Namespaced: true,
		New:     func() runtime.Object { return &discoveryv1.EndpointSlice{} },
		NewList: func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("AddressType", "The sort of address of all endpoints.", func(s *discoveryv1.EndpointSlice) string { return string(s.AddressType) }),
			apis.Text("Ports", "The ports, at most three.", formatPorts),
			apis.Text("Endpoints", "The addresses, at most three.", formatAddresses),
			apis.AgeColumn(),
		},
	}
}

func defaultEndpointSlice(s *discoveryv1.EndpointSlice) {
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Name == nil {
			p.Name = ptr.To("")
		}
		if p.Protocol == nil {
			p.Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}

// prepareUpdate counts a generation when anything but metadata changed, or the labels did.
func prepareUpdate(_ context.Context, s, old *discoveryv1.EndpointSlice) {
	same := s.AddressType == old.AddressType &&
		equality.Semantic.DeepEqual(s.Endpoints, old.Endpoints) &&
		equality.Semantic.DeepEqual(s.Ports, old.Ports) &&
		equality.Semantic.DeepEqual(s.Labels, old.Labels)
	if !same {
		s.Generation = old.Generation + 1
	}
}

const shown = 3

func formatPorts(s *discoveryv1.EndpointSlice) string {
	parts := make([]string, len(s.Ports))
	for i, p := range s.Ports {
		switch {
		case p.Port != nil:
			parts[i] = strconv.Itoa(int(*p.Port))
		case ptr.Deref(p.Name, "") != "":
			parts[i] = *p.Name
		default:
			parts[i] = "*"
		}
	}
	return firstOf(parts)
}

func formatAddresses(s *discoveryv1.EndpointSlice) string {
	var parts []string
	for i := range s.Endpoints {
		parts = append(parts, s.Endpoints[i].Addresses...)
	}
	return firstOf(parts)
}

func firstOf(parts []string) string {
	switch {
	case len(parts) == 0:
		return "<unset>"
	case len(parts) > shown:
		return fmt.Sprintf("%s + %d more...", strings.Join(parts[:shown], ","), len(parts)-shown)
	default:
		return strings.Join(parts, ",")
	}
}
