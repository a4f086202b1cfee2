package discovery

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/pintle-io/pintle/engine/apis/core"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
	maxTopology  = 16
	maxHints     = 8
)

var addressTypes = []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}

func validateCreate(_ context.Context, s *discoveryv1.EndpointSlice) field.ErrorList {
	errs := apis.ValidateMeta(&s.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, validateSlice(s)...)
}

func validateUpdate(_ context.Context, s, old *discoveryv1.EndpointSlice) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	errs = append(errs, validateSlice(s)...)
	return append(errs, validation.ValidateImmutableField(s.AddressType, old.AddressType, field.NewPath("addressType"))...)
}

func validateSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("addressType")
	if s.AddressType == "" {
		errs = append(errs, field.Required(at, ""))
	} else if !slices.Contains(addressTypes, s.AddressType) {
		errs = append(errs, field.NotSupported(at, s.AddressType, addressTypes))
	}
	errs = append(errs, validateEndpoints(s, field.NewPath("endpoints"))...)
	return append(errs, validatePorts(s.Ports, field.NewPath("ports"))...)
}

func validateEndpoints(s *discoveryv1.EndpointSlice, at *field.Path) field.ErrorList {
	if len(s.Endpoints) > maxEndpoints {
		return field.ErrorList{field.TooMany(at, len(s.Endpoints), maxEndpoints)}
	}
	var errs field.ErrorList
	for i := range s.Endpoints {
		errs = append(errs, validateEndpoint(&s.Endpoints[i], s.AddressType, at.Index(i))...)
	}
	return errs
}

func validateEndpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	addressesAt := at.Child("addresses")
	switch n := len(e.Addresses); {
	case n == 0:
		errs = append(errs, field.Required(addressesAt, "must contain at least 1 address"))
	case n > maxAddresses:
		errs = append(errs, field.TooMany(addressesAt, n, maxAddresses))
	}
	for i, a := range e.Addresses {
		errs = append(errs, validateAddress(a, t, addressesAt.Index(i))...)
	}
	if e.NodeName != nil {
		for _, msg := range validation.NameIsDNSSubdomain(*e.NodeName, false) {
			errs = append(errs, field.Invalid(at.Child("nodeName"), *e.NodeName, msg))
		}
	}
	errs = append(errs, validateTopology(e.DeprecatedTopology, at.Child("deprecatedTopology"))...)
	if e.Hostname != nil {
		for _, msg := range utilvalidation.IsDNS1123Label(*e.Hostname) {
			errs = append(errs, field.Invalid(at.Child("hostname"), *e.Hostname, msg))
		}
	}
	if e.Hints != nil {
		errs = append(errs, validateHints(e.Hints, at.Child("hints"))...)
	}
	return errs
}

func validateAddress(a string, t discoveryv1.AddressType, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch t {
	case discoveryv1.AddressTypeIPv4:
		errs = utilvalidation.IsValidIP(at, a)
		if len(errs) == 0 && !netutils.IsIPv4String(a) {
			errs = append(errs, field.Invalid(at, a, "must be an IPv4 address"))
		}
		return append(errs, core.ValidateEndpointIP(a, at)...)
	case discoveryv1.AddressTypeIPv6:
		errs = utilvalidation.IsValidIP(at, a)
		if len(errs) == 0 && !netutils.IsIPv6String(a) {
			errs = append(errs, field.Invalid(at, a, "must be an IPv6 address"))
		}
		return append(errs, core.ValidateEndpointIP(a, at)...)
	case discoveryv1.AddressTypeFQDN:
		return utilvalidation.IsFullyQualifiedDomainName(at, a)
	}
	return nil
}

func validateTopology(topology map[string]string, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabels(topology, at)
	if len(topology) > maxTopology {
		errs = append(errs, field.TooMany(at, len(topology), maxTopology))
	}
	if _, found := topology[corev1.LabelHostname]; found {
		errs = append(errs, field.Invalid(at.Key(corev1.LabelHostname), "", "may not be set"))
	}
	return errs
}

func validateHints(h *discoveryv1.EndpointHints, at *field.Path) field.ErrorList {
	zones, nodes := make([]string, len(h.ForZones)), make([]string, len(h.ForNodes))
	for i, z := range h.ForZones {
		zones[i] = z.Name
	}
	for i, n := range h.ForNodes {
		nodes[i] = n.Name
	}
	zonesAt, nodesAt := at.Child("forZones"), at.Child("forNodes")
	if len(zones) > maxHints {
		return field.ErrorList{field.TooMany(zonesAt, len(zones), maxHints)}
	}
	errs := validateHintNames(zones, utilvalidation.IsValidLabelValue, zonesAt)
	if len(nodes) > maxHints {
		return append(errs, field.TooMany(nodesAt, len(nodes), maxHints))
	}
	return append(errs, validateHintNames(nodes, func(name string) []string { return validation.NameIsDNSSubdomain(name, false) }, nodesAt)...)
}

func validateHintNames(names []string, check func(string) []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range names {
		nameAt := at.Index(i).Child("name")
		if slices.Contains(names[:i], name) {
			errs = append(errs, field.Duplicate(nameAt, name))
		}
		for _, msg := range check(name) {
			errs = append(errs, field.Invalid(nameAt, name, msg))
		}
	}
	return errs
}

func validatePorts(ports []discoveryv1.EndpointPort, at *field.Path) field.ErrorList {
	if len(ports) > maxPorts {
		return field.ErrorList{field.TooMany(at, len(ports), maxPorts)}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range ports {
		p, portAt := &ports[i], at.Index(i)
		if p.Name != nil {
			if *p.Name != "" {
				errs = append(errs, core.ValidateDNS1123Label(*p.Name, portAt.Child("name"))...)
			}
			if names.Has(*p.Name) {
				errs = append(errs, field.Duplicate(portAt.Child("name"), *p.Name))
			}
			names.Insert(*p.Name)
		}
		if p.Protocol == nil {
			errs = append(errs, field.Required(portAt.Child("protocol"), ""))
		} else if !core.SupportedProtocol(*p.Protocol) {
			errs = append(errs, field.NotSupported(portAt.Child("protocol"), *p.Protocol, core.Protocols))
		}
		if p.Port != nil {
			for _, msg := range utilvalidation.IsValidPortNum(int(*p.Port)) {
				errs = append(errs, field.Invalid(portAt.Child("port"), *p.Port, msg))
			}
		}
		if p.AppProtocol != nil {
			errs = append(errs, core.ValidateQualifiedName(*p.AppProtocol, portAt.Child("appProtocol"))...)
		}
	}
	return errs
}

func warnings(s *discoveryv1.EndpointSlice) []string {
	var out []string
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return append(out, field.NewPath("spec").Child("addressType").String()+": FQDN endpoints are deprecated")
	}
	for i := range s.Endpoints {
		for j, a := range s.Endpoints[i].Addresses {
			out = append(out, utilvalidation.GetWarningsForIP(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), a)...)
		}
	}
	return out
}
