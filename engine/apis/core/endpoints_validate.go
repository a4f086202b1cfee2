package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateEndpoints(e *corev1.Endpoints) field.ErrorList {
	errs := apis.ValidateMeta(&e.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	for i := range e.Subsets {
		errs = append(errs, validateSubset(&e.Subsets[i], field.NewPath("subsets").Index(i))...)
	}
	return errs
}

func validateSubset(s *corev1.EndpointSubset, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s.Addresses) == 0 && len(s.NotReadyAddresses) == 0 {
		errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
	}
	for i := range s.Addresses {
		errs = append(errs, validateEndpointAddress(&s.Addresses[i], at.Child("addresses").Index(i))...)
	}
	for i := range s.NotReadyAddresses {
		errs = append(errs, validateEndpointAddress(&s.NotReadyAddresses[i], at.Child("notReadyAddresses").Index(i))...)
	}
	for i := range s.Ports {
		p, portAt := &s.Ports[i], at.Child("ports").Index(i)
		if p.Name != "" {
			errs = append(errs, ValidateDNS1123Label(p.Name, portAt.Child("name"))...)
		} else if len(s.Ports) > 1 {
			errs = append(errs, field.Required(portAt.Child("name"), ""))
		}
		errs = append(errs, validatePort(p.Port, portAt.Child("port"))...)
		errs = append(errs, oneOf(p.Protocol, portAt.Child("protocol"), Protocols...)...)
		if p.AppProtocol != nil {
			errs = append(errs, ValidateQualifiedName(*p.AppProtocol, portAt.Child("appProtocol"))...)
		}
	}
	return errs
}

func validateEndpointAddress(a *corev1.EndpointAddress, at *field.Path) field.ErrorList {
	errs := utilvalidation.IsValidIPForLegacyField(at.Child("ip"), a.IP, true, nil)
	if a.Hostname != "" {
		errs = append(errs, ValidateDNS1123Label(a.Hostname, at.Child("hostname"))...)
	}
	if a.NodeName != nil {
		errs = append(errs, invalidEach(at.Child("nodeName"), *a.NodeName, validation.NameIsDNSSubdomain(*a.NodeName, false))...)
	}
	return append(errs, ValidateEndpointIP(a.IP, at.Child("ip"))...)
}
