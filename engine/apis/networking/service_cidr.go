package networking

import (
	"context"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/pintle-io/pintle/engine/apis"
)

func serviceCIDRs() apis.Resource {
	parts := apis.Parts[*networkingv1.ServiceCIDR, networkingv1.ServiceCIDRSpec, networkingv1.ServiceCIDRStatus]{
		Spec:         func(c *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRSpec { return &c.Spec },
		Status:       func(c *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRStatus { return &c.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*networkingv1.ServiceCIDR]{
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(_ context.Context, c *networkingv1.ServiceCIDR) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateCIDRs(c.Spec.CIDRs, field.NewPath("spec", "cidrs"))...)
		},
		ValidateUpdate: validateServiceCIDRUpdate,
		ValidateStatusUpdate: func(_ context.Context, c, old *networkingv1.ServiceCIDR) field.ErrorList {
			return apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("ServiceCIDR"), Plural: "servicecidrs", Singular: "servicecidr",
		New:     func() runtime.Object { return &networkingv1.ServiceCIDR{} },
		NewList: func() runtime.Object { return &networkingv1.ServiceCIDRList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("CIDRs", "The ranges that service addresses come from.", func(c *networkingv1.ServiceCIDR) string { return strings.Join(c.Spec.CIDRs, ",") }),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func validateCIDRs(cidrs []string, at *field.Path) field.ErrorList {
	if len(cidrs) == 0 {
		return field.ErrorList{field.Required(at, "at least one CIDR required")}
	}
	var errs field.ErrorList
	if len(cidrs) > 2 {
		errs = append(errs, field.Invalid(at, cidrs, "may only hold up to 2 values"))
	}
	for i, c := range cidrs {
		errs = append(errs, utilvalidation.IsValidCIDR(at.Index(i), c)...)
	}
	if len(cidrs) == 2 {
		if dual, err := netutils.IsDualStackCIDRStrings(cidrs); err == nil && !dual {
			errs = append(errs, field.Invalid(at, strings.Join(cidrs, ","), "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96"))
		}
	}
	return errs
}

// validateServiceCIDRUpdate lets a single range grow into two, and no other change.
func validateServiceCIDRUpdate(_ context.Context, c, old *networkingv1.ServiceCIDR) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("spec", "cidrs")
	if len(old.Spec.CIDRs) == 1 && len(c.Spec.CIDRs) == 2 {
		errs = append(errs, validation.ValidateImmutableField(c.Spec.CIDRs[0], old.Spec.CIDRs[0], at.Index(0))...)
		return append(errs, validateCIDRs(c.Spec.CIDRs, at)...)
	}
	return append(errs, validation.ValidateImmutableField(c.Spec.CIDRs, old.Spec.CIDRs, at)...)
}

func ipAddresses() apis.Resource {
	rules := apis.TypedRules[*networkingv1.IPAddress]{
		Validate: func(_ context.Context, a *networkingv1.IPAddress) field.ErrorList { return validateIPAddress(a) },
		ValidateUpdate: func(_ context.Context, a, old *networkingv1.IPAddress) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&a.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validation.ValidateImmutableField(a.Spec.ParentRef, old.Spec.ParentRef, field.NewPath("spec", "parentRef"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("IPAddress"), Plural: "ipaddresses", Singular: "ipaddress", ShortNames: []string{"ip"},
		New:     func() runtime.Object { return &networkingv1.IPAddress{} },
		NewList: func() runtime.Object { return &networkingv1.IPAddressList{} },
		Rules:   rules,
		Columns: []apis.Column{apis.NameColumn(), apis.Text("ParentRef", "The object that holds the address.", parentRef)},
	}
}

func parentRef(a *networkingv1.IPAddress) string {
	ref := a.Spec.ParentRef
	if ref == nil {
		return "<none>"
	}
	var parts []string
	for _, part := range []string{ref.Group, ref.Resource, ref.Namespace, ref.Name} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, "/")
	if ref.Group != "" && ref.Resource != "" {
		text = strings.Replace(text, ref.Group+"/"+ref.Resource, ref.Resource+"."+ref.Group, 1)
	}
	return text
}

// canonicalIP is the name rule of IP addresses: the shortest form, so that each
// address has one name.
func canonicalIP(name string, _ bool) []string {
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return []string{err.Error()}
	}
	if addr.String() != name {
		return []string{"must be a canonical format IP address"}
	}
	return nil
}

func validateIPAddress(a *networkingv1.IPAddress) field.ErrorList {
	errs := apis.ValidateMeta(&a.ObjectMeta, false, canonicalIP, metadata)
	at := field.NewPath("spec", "parentRef")
	ref := a.Spec.ParentRef
	if ref == nil {
		return append(errs, field.Required(at, ""))
	}
	segment := func(value, name string) field.ErrorList {
		return invalidEach(at.Child(name), value, path.IsValidPathSegmentName(value))
	}
	if ref.Group != "" {
		errs = append(errs, invalidEach(at.Child("group"), ref.Group, utilvalidation.IsDNS1123Subdomain(ref.Group))...)
	}
	for _, f := range []struct {
		name, value string
		required    bool
	}{{"resource", ref.Resource, true}, {"name", ref.Name, true}, {"namespace", ref.Namespace, false}} {
		switch {
		case f.value != "":
			errs = append(errs, segment(f.value, f.name)...)
		case f.required:
			errs = append(errs, field.Required(at.Child(f.name), ""))
		}
	}
	return errs
}
