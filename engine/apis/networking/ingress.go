package networking

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/pintle-io/pintle/engine/apis"
)

func ingresses() apis.Resource {
	parts := apis.Parts[*networkingv1.Ingress, networkingv1.IngressSpec, networkingv1.IngressStatus]{
		Spec:   func(i *networkingv1.Ingress) *networkingv1.IngressSpec { return &i.Spec },
		Status: func(i *networkingv1.Ingress) *networkingv1.IngressStatus { return &i.Status },
	}
	rules := apis.TypedRules[*networkingv1.Ingress]{
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               validateIngressCreate,
		ValidateUpdate:         validateIngressUpdate,
		ValidateStatusUpdate:   validateIngressStatusUpdate,
		WarningsOnCreate:       ingressWarnings,
	}.Rules()
	return apis.Resource{
		GVK: kind("Ingress"), Plural: "ingresses", Singular: "ingress", ShortNames: []string{"ing"}, Namespaced: true,
		New:     func() runtime.Object { return &networkingv1.Ingress{} },
		NewList: func() runtime.Object { return &networkingv1.IngressList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Class", "The class whose controller serves the ingress.", func(i *networkingv1.Ingress) string {
				return apis.OrNone(ClassOf(i))
			}),
			apis.Text("Hosts", "The host names served.", ingressHosts),
			apis.Text("Address", "The addresses of the load balancer.", ingressAddress),
			apis.Text("Ports", "The ports of the load balancer.", func(i *networkingv1.Ingress) string {
				if len(i.Spec.TLS) > 0 {
					return "80, 443"
				}
				return "80"
			}),
			apis.AgeColumn(),
		},
		HasStatus: true,
	}
}

func ingressHosts(i *networkingv1.Ingress) string {
	const most = 3
	var hosts []string
	for _, r := range i.Spec.Rules {
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	switch {
	case len(hosts) == 0:
		return "*"
	case len(hosts) > most:
		return fmt.Sprintf("%s + %d more...", strings.Join(hosts[:most], ","), len(hosts)-most)
	default:
		return strings.Join(hosts, ",")
	}
}

func ingressAddress(i *networkingv1.Ingress) string {
	found := sets.New[string]()
	for _, in := range i.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			found.Insert(in.IP)
		} else if in.Hostname != "" {
			found.Insert(in.Hostname)
		}
	}
	return strings.Join(sets.List(found), ",")
}
