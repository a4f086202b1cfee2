package networking

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

var policyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

func networkPolicies() apis.Resource {
	create, update := apis.CountGenerations(func(p, old *networkingv1.NetworkPolicy) bool {
		return !equality.Semantic.DeepEqual(p.Spec, old.Spec)
	})
	rules := apis.TypedRules[*networkingv1.NetworkPolicy]{
		Default:          defaultNetworkPolicy,
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, p *networkingv1.NetworkPolicy) field.ErrorList {
			errs := apis.ValidateMeta(&p.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateNetworkPolicySpec(&p.Spec, field.NewPath("spec"))...)
		},
		ValidateUpdate: func(_ context.Context, p, old *networkingv1.NetworkPolicy) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&p.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validateNetworkPolicySpec(&p.Spec, field.NewPath("spec"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("NetworkPolicy"), Plural: "networkpolicies", Singular: "networkpolicy", ShortNames: []string{"netpol"}, Namespaced: true,
		New:     func() runtime.Object { return &networkingv1.NetworkPolicy{} },
		NewList: func() runtime.Object { return &networkingv1.NetworkPolicyList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Pod-Selector", "The labels of the pods concerned.", func(p *networkingv1.NetworkPolicy) string {
				return core.FormatSelector(&p.Spec.PodSelector)
			}),
			apis.AgeColumn(),
		},
	}
}

func defaultNetworkPolicy(p *networkingv1.NetworkPolicy) {
	spec := &p.Spec
	if len(spec.PolicyTypes) == 0 {
		spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(spec.Egress) > 0 {
			spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	ports := func(list []networkingv1.NetworkPolicyPort) {
		for i := range list {
			if list[i].Protocol == nil {
				list[i].Protocol = ptr.To(corev1.ProtocolTCP)
			}
		}
	}
	for i := range spec.Ingress {
		ports(spec.Ingress[i].Ports)
	}
	for i := range spec.Egress {
		ports(spec.Egress[i].Ports)
	}
}

func validateNetworkPolicySpec(spec *networkingv1.NetworkPolicySpec, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(&spec.PodSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("podSelector"))
	for i := range spec.Ingress {
		r, ruleAt := &spec.Ingress[i], at.Child("ingress").Index(i)
		errs = append(errs, validatePolicyPorts(r.Ports, ruleAt.Child("ports"))...)
		errs = append(errs, validatePeers(r.From, ruleAt.Child("from"))...)
	}
	for i := range spec.Egress {
		r, ruleAt := &spec.Egress[i], at.Child("egress").Index(i)
		errs = append(errs, validatePolicyPorts(r.Ports, ruleAt.Child("ports"))...)
		errs = append(errs, validatePeers(r.To, ruleAt.Child("to"))...)
	}
	typesAt := at.Child("policyTypes")
	if len(spec.PolicyTypes) > len(policyTypes) {
		return append(errs, field.Invalid(typesAt, &spec.PolicyTypes, "may not specify more than two policyTypes"))
	}
	for i, t := range spec.PolicyTypes {
		if !slices.Contains(policyTypes, t) {
			errs = append(errs, field.NotSupported(typesAt.Index(i), t, policyTypes))
		}
	}
	return errs
}

func validatePolicyPorts(ports []networkingv1.NetworkPolicyPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range ports {
		errs = append(errs, validatePolicyPort(&ports[i], at.Index(i))...)
	}
	return errs
}

func validatePolicyPort(p *networkingv1.NetworkPolicyPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Protocol != nil && !core.SupportedProtocol(*p.Protocol) {
		errs = append(errs, field.NotSupported(at.Child("protocol"), *p.Protocol, []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}))
	}
	portAt, endAt := at.Child("port"), at.Child("endPort")
	switch {
	case p.Port == nil:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(endAt, *p.EndPort, "may not be specified when `port` is not specified"))
		}
	case p.Port.Type == intstr.Int:
		errs = append(errs, invalidEach(portAt, p.Port.IntVal, utilvalidation.IsValidPortNum(int(p.Port.IntVal)))...)
		if p.EndPort != nil {
			if *p.EndPort < p.Port.IntVal {
				errs = append(errs, field.Invalid(endAt, *p.EndPort, "must be greater than or equal to `port`"))
			}
			errs = append(errs, invalidEach(endAt, *p.EndPort, utilvalidation.IsValidPortNum(int(*p.EndPort)))...)
		}
	default:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(endAt, *p.EndPort, "may not be specified when `port` is non-numeric"))
		}
		errs = append(errs, invalidEach(portAt, p.Port.StrVal, utilvalidation.IsValidPortName(p.Port.StrVal))...)
	}
	return errs
}

func validatePeers(peers []networkingv1.NetworkPolicyPeer, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range peers {
		errs = append(errs, validatePeer(&peers[i], at.Index(i))...)
	}
	return errs
}

func validatePeer(p *networkingv1.NetworkPolicyPeer, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	selectors := 0
	if p.PodSelector != nil {
		selectors++
		errs = append(errs, metavalidation.ValidateLabelSelector(p.PodSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("podSelector"))...)
	}
	if p.NamespaceSelector != nil {
		selectors++
		errs = append(errs, metavalidation.ValidateLabelSelector(p.NamespaceSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	}
	if p.IPBlock != nil {
		errs = append(errs, validateIPBlock(p.IPBlock, at.Child("ipBlock"))...)
		if selectors > 0 {
			errs = append(errs, field.Forbidden(at, "may not specify both ipBlock and another peer"))
		}
	} else if selectors == 0 {
		errs = append(errs, field.Required(at, "must specify a peer"))
	}
	return errs
}

func validateIPBlock(b *networkingv1.IPBlock, at *field.Path) field.ErrorList {
	if b.CIDR == "" {
		return field.ErrorList{field.Required(at.Child("cidr"), "")}
	}
	errs := utilvalidation.IsValidCIDRForLegacyField(at.Child("cidr"), b.CIDR, true, nil)
	_, block, err := netutils.ParseCIDRSloppy(b.CIDR)
	if err != nil {
		return errs
	}
	size, _ := block.Mask.Size()
	for i, text := range b.Except {
		exceptAt := at.Child("except").Index(i)
		errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(exceptAt, text, true, nil)...)
		_, except, err := netutils.ParseCIDRSloppy(text)
		if err != nil {
			continue
		}
		if inner, _ := except.Mask.Size(); !block.Contains(except.IP) || size >= inner {
			errs = append(errs, field.Invalid(exceptAt, text, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
