package networking

import (
	"context"
	"fmt"
	"net"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/pintle-io/pintle/engine/apis/core"

	"github.com/pintle-io/pintle/engine/apis"
)

var pathTypes = []networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}

func validateIngressCreate(_ context.Context, i *networkingv1.Ingress) field.ErrorList {
	errs := apis.ValidateMeta(&i.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateIngressSpec(&i.Spec, field.NewPath("spec"))...)
	if class, found := i.Annotations[classAnnotation]; found && i.Spec.IngressClassName != nil {
		errs = append(errs, field.Invalid(metadata.Child("annotations").Child(classAnnotation), class, "can not be set when the class field is also set"))
	}
	return errs
}

func validateIngressUpdate(_ context.Context, i, old *networkingv1.Ingress) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&i.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, validateIngressSpec(&i.Spec, field.NewPath("spec"))...)
}

func validateIngressStatusUpdate(_ context.Context, i, old *networkingv1.Ingress) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&i.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status", "loadBalancer", "ingress")
	for n, in := range i.Status.LoadBalancer.Ingress {
		if in.IP != "" && netutils.ParseIPSloppy(in.IP) == nil {
			errs = append(errs, field.Invalid(at.Index(n).Child("ip"), in.IP, "must be a valid IP address"))
		}
		if in.Hostname == "" {
			continue
		}
		hostAt := at.Index(n).Child("hostname")
		errs = append(errs, invalidEach(hostAt, in.Hostname, utilvalidation.IsDNS1123Subdomain(in.Hostname))...)
		if net.ParseIP(in.Hostname) != nil {
			errs = append(errs, field.Invalid(hostAt, in.Hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}

func validateIngressSpec(spec *networkingv1.IngressSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Rules) == 0 && spec.DefaultBackend == nil {
		errs = append(errs, field.Invalid(at, spec.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if spec.DefaultBackend != nil {
		errs = append(errs, validateBackend(spec.DefaultBackend, at.Child("defaultBackend"))...)
	}
	for i := range spec.Rules {
		errs = append(errs, validateIngressRule(&spec.Rules[i], at.Child("rules").Index(i))...)
	}
	for i := range spec.TLS {
		errs = append(errs, validateTLS(&spec.TLS[i], at.Child("tls").Index(i))...)
	}
	if c := spec.IngressClassName; c != nil {
		errs = append(errs, invalidEach(at.Child("ingressClassName"), *c, validation.NameIsDNSSubdomain(*c, false))...)
	}
	return errs
}

func validateHost(host string, at *field.Path) field.ErrorList {
	if strings.Contains(host, "*") {
		return invalidEach(at, host, utilvalidation.IsWildcardDNS1123Subdomain(host))
	}
	return invalidEach(at, host, utilvalidation.IsDNS1123Subdomain(host))
}

func validateTLS(tls *networkingv1.IngressTLS, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, host := range tls.Hosts {
		errs = append(errs, validateHost(host, at.Child("hosts").Index(i))...)
	}
	if tls.SecretName != "" {
		errs = append(errs, invalidEach(at.Child("secretName"), tls.SecretName, validation.NameIsDNSSubdomain(tls.SecretName, false))...)
	}
	return errs
}

func validateIngressRule(r *networkingv1.IngressRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.Host != "" {
		if net.ParseIP(r.Host) != nil {
			errs = append(errs, field.Invalid(at.Child("host"), r.Host, "must be a DNS name, not an IP address"))
		}
		errs = append(errs, validateHost(r.Host, at.Child("host"))...)
	}
	if r.HTTP == nil {
		return errs
	}
	pathsAt := at.Child("http", "paths")
	if len(r.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(pathsAt, ""))
	}
	for i := range r.HTTP.Paths {
		errs = append(errs, validateHTTPPath(&r.HTTP.Paths[i], pathsAt.Index(i))...)
	}
	return errs
}

func validateHTTPPath(p *networkingv1.HTTPIngressPath, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	pathAt := at.Child("path")
	if p.PathType == nil {
		return append(errs, field.Required(at.Child("pathType"), "pathType must be specified"))
	}
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		if !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(pathAt, p.Path, "must be an absolute path"))
		}
		errs = append(errs, validatePathText(p.Path, pathAt)...)
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(pathAt, p.Path, "must be an absolute path"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("pathType"), *p.PathType, pathTypes))
	}
	return append(errs, validateBackend(&p.Backend, at.Child("backend"))...)
}

func validatePathText(p string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(p, bad) {
			errs = append(errs, field.Invalid(at, p, fmt.Sprintf("must not contain '%s'", bad)))
		}
	}
	for _, bad := range []string{"/..", "/."} {
		if strings.HasSuffix(p, bad) {
			errs = append(errs, field.Invalid(at, p, fmt.Sprintf("cannot end with '%s'", bad)))
		}
	}
	return errs
}

func validateBackend(b *networkingv1.IngressBackend, at *field.Path) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(at, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return validateTypedReference(b.Resource, at.Child("resource"))
	case b.Service != nil:
		return validateServiceBackend(b.Service, at)
	default:
		return field.ErrorList{field.Invalid(at, "", "resource or service backend is required")}
	}
}

func validateServiceBackend(s *networkingv1.IngressServiceBackend, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	nameAt, portAt := at.Child("service", "name"), at.Child("service", "port")
	if s.Name == "" {
		errs = append(errs, field.Required(nameAt, ""))
	} else {
		errs = append(errs, invalidEach(nameAt, s.Name, core.ServiceNameMessages(s.Name, false))...)
	}
	switch byName, byNumber := s.Port.Name != "", s.Port.Number != 0; {
	case byName && byNumber:
		errs = append(errs, field.Invalid(at, "", "cannot set both port name & port number"))
	case byName:
		errs = append(errs, invalidEach(portAt.Child("name"), s.Port.Name, utilvalidation.IsValidPortName(s.Port.Name))...)
	case byNumber:
		errs = append(errs, invalidEach(portAt.Child("number"), s.Port.Number, utilvalidation.IsValidPortNum(int(s.Port.Number)))...)
	default:
		errs = append(errs, field.Required(at, "port name or number is required"))
	}
	return errs
}

func validateTypedReference(ref *corev1.TypedLocalObjectReference, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ref.APIGroup != nil {
		errs = append(errs, invalidEach(at.Child("apiGroup"), *ref.APIGroup, utilvalidation.IsDNS1123Subdomain(*ref.APIGroup))...)
	}
	errs = append(errs, requiredSegment(ref.Kind, at.Child("kind"))...)
	return append(errs, requiredSegment(ref.Name, at.Child("name"))...)
}

func requiredSegment(value string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return invalidEach(at, value, path.IsValidPathSegmentName(value))
}

func ingressWarnings(_ context.Context, i *networkingv1.Ingress) []string {
	if _, found := i.Annotations[classAnnotation]; found {
		return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", classAnnotation)}
	}
	return nil
}
