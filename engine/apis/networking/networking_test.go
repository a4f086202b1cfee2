package networking

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func ingress() *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: "a.example.com",
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix),
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}},
			}}}},
		}}},
	}
}

func TestIngress(t *testing.T) {
	path := func(i *networkingv1.Ingress) *networkingv1.HTTPIngressPath { return &i.Spec.Rules[0].HTTP.Paths[0] }
	const at = "spec.rules[0].http.paths[0]"
	apistest.RunCreate(t, ingresses(), ingress, map[string]apistest.Case[*networkingv1.Ingress]{
		"nothing":       {Change: func(i *networkingv1.Ingress) { i.Spec.Rules = nil }, Want: []string{"spec: Invalid value"}},
		"host address":  {Change: func(i *networkingv1.Ingress) { i.Spec.Rules[0].Host = "10.0.0.1" }, Want: []string{"spec.rules[0].host: Invalid value"}},
		"wildcard":      {Change: func(i *networkingv1.Ingress) { i.Spec.Rules[0].Host = "*.example.com" }},
		"inner star":    {Change: func(i *networkingv1.Ingress) { i.Spec.Rules[0].Host = "a.*.com" }, Want: []string{"spec.rules[0].host: Invalid value"}},
		"no path type":  {Change: func(i *networkingv1.Ingress) { path(i).PathType = nil }, Want: []string{at + ".pathType: Required value"}},
		"path type":     {Change: func(i *networkingv1.Ingress) { path(i).PathType = ptr.To(networkingv1.PathType("Regex")) }, Want: []string{at + ".pathType: Unsupported value"}},
		"relative path": {Change: func(i *networkingv1.Ingress) { path(i).Path = "a" }, Want: []string{at + ".path: Invalid value"}},
		"double slash":  {Change: func(i *networkingv1.Ingress) { path(i).Path = "/a//b" }, Want: []string{at + ".path: Invalid value"}},
		"no backend":    {Change: func(i *networkingv1.Ingress) { path(i).Backend.Service = nil }, Want: []string{at + ".backend: Invalid value"}},
		"no port":       {Change: func(i *networkingv1.Ingress) { path(i).Backend.Service.Port.Number = 0 }, Want: []string{at + ".backend: Required value"}},
		"two ports":     {Change: func(i *networkingv1.Ingress) { path(i).Backend.Service.Port.Name = "http" }, Want: []string{at + ".backend: Invalid value"}},
		"class twice": {Change: func(i *networkingv1.Ingress) {
			i.Annotations, i.Spec.IngressClassName = map[string]string{classAnnotation: "a"}, ptr.To("a")
		}, Want: []string{"metadata.annotations.kubernetes.io/ingress.class: Invalid value"}},
		"tls host": {Change: func(i *networkingv1.Ingress) { i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"A"}}} }, Want: []string{"spec.tls[0].hosts[0]: Invalid value"}},
	})
	i := ingress()
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "10.0.0.1"}}
	cells := apistest.Cells(ingresses(), i)
	if cells["Class"] != "<none>" || cells["Hosts"] != "a.example.com" || cells["Address"] != "10.0.0.1" || cells["Ports"] != "80" {
		t.Errorf("cells: %v", cells)
	}
}

func TestNetworkPolicy(t *testing.T) {
	base := func() *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", ResourceVersion: "1"},
			Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{
				Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(80))}},
				From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}},
			}}},
		}
	}
	rule := func(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicyIngressRule { return &p.Spec.Ingress[0] }
	apistest.RunCreate(t, networkPolicies(), base, map[string]apistest.Case[*networkingv1.NetworkPolicy]{
		"protocol":        {Change: func(p *networkingv1.NetworkPolicy) { rule(p).Ports[0].Protocol = ptr.To(corev1.Protocol("X")) }, Want: []string{"spec.ingress[0].ports[0].protocol: Unsupported value"}},
		"port":            {Change: func(p *networkingv1.NetworkPolicy) { rule(p).Ports[0].Port.IntVal = 0 }, Want: []string{"spec.ingress[0].ports[0].port: Invalid value"}},
		"end before port": {Change: func(p *networkingv1.NetworkPolicy) { rule(p).Ports[0].EndPort = ptr.To(int32(79)) }, Want: []string{"spec.ingress[0].ports[0].endPort: Invalid value"}},
		"empty peer":      {Change: func(p *networkingv1.NetworkPolicy) { rule(p).From[0].IPBlock = nil }, Want: []string{"spec.ingress[0].from[0]: Required value"}},
		"peer of two":     {Change: func(p *networkingv1.NetworkPolicy) { rule(p).From[0].PodSelector = &metav1.LabelSelector{} }, Want: []string{"spec.ingress[0].from[0]: Forbidden"}},
		"outside":         {Change: func(p *networkingv1.NetworkPolicy) { rule(p).From[0].IPBlock.Except = []string{"11.0.0.0/16"} }, Want: []string{"spec.ingress[0].from[0].ipBlock.except[0]: Invalid value"}},
		"type":            {Change: func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = []networkingv1.PolicyType{"Sideways"} }, Want: []string{"spec.policyTypes[0]: Unsupported value"}},
	})
	p := base()
	p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	defaultNetworkPolicy(p)
	if len(p.Spec.PolicyTypes) != 2 || *rule(p).Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("defaults: %+v", p.Spec)
	}
}

func TestIngressClass(t *testing.T) {
	base := func() *networkingv1.IngressClass {
		return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "c", ResourceVersion: "1"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/c"}}
	}
	apistest.RunCreate(t, ingressClasses(), base, map[string]apistest.Case[*networkingv1.IngressClass]{
		"controller": {Change: func(c *networkingv1.IngressClass) { c.Spec.Controller = "c" }, Want: []string{"spec.controller: Invalid value"}},
		"namespace of a cluster-wide object": {Change: func(c *networkingv1.IngressClass) {
			c.Spec.Parameters = &networkingv1.IngressClassParametersReference{Kind: "K", Name: "n", Namespace: ptr.To("x")}
		}, Want: []string{"spec.parameters.namespace: Forbidden"}},
	})
	apistest.RunUpdate(t, ingressClasses(), base, map[string]apistest.Case[*networkingv1.IngressClass]{
		"controller": {Change: func(c *networkingv1.IngressClass) { c.Spec.Controller = "example.com/d" }, Want: []string{"spec.controller: Invalid value"}},
	})
}

func TestServiceCIDRAndIPAddress(t *testing.T) {
	cidr := func() *networkingv1.ServiceCIDR {
		return &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "c", ResourceVersion: "1"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/16"}}}
	}
	apistest.RunCreate(t, serviceCIDRs(), cidr, map[string]apistest.Case[*networkingv1.ServiceCIDR]{
		"none":     {Change: func(c *networkingv1.ServiceCIDR) { c.Spec.CIDRs = nil }, Want: []string{"spec.cidrs: Required value"}},
		"two of 4": {Change: func(c *networkingv1.ServiceCIDR) { c.Spec.CIDRs = []string{"10.0.0.0/16", "10.1.0.0/16"} }, Want: []string{"spec.cidrs: Invalid value"}},
	})
	apistest.RunUpdate(t, serviceCIDRs(), cidr, map[string]apistest.Case[*networkingv1.ServiceCIDR]{
		"grow":   {Change: func(c *networkingv1.ServiceCIDR) { c.Spec.CIDRs = append(c.Spec.CIDRs, "fd00::/112") }},
		"change": {Change: func(c *networkingv1.ServiceCIDR) { c.Spec.CIDRs = []string{"10.9.0.0/16"} }, Want: []string{"spec.cidrs: Invalid value"}},
	})
	address := func() *networkingv1.IPAddress {
		return &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.1"}, Spec: networkingv1.IPAddressSpec{
			ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "web"},
		}}
	}
	apistest.RunCreate(t, ipAddresses(), address, map[string]apistest.Case[*networkingv1.IPAddress]{
		"name":   {Change: func(a *networkingv1.IPAddress) { a.Name = "010.0.0.1" }, Want: []string{"metadata.name: Invalid value"}},
		"orphan": {Change: func(a *networkingv1.IPAddress) { a.Spec.ParentRef = nil }, Want: []string{"spec.parentRef: Required value"}},
	})
	if got := parentRef(address()); got != "services/default/web" {
		t.Errorf("parent %q", got)
	}
}
