package core

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

func services() apis.Resource {
	rules := apis.TypedRules[*corev1.Service]{
		Default:                defaultService,
		PrepareForCreate:       prepareServiceCreate,
		PrepareForUpdate:       prepareServiceUpdate,
		PrepareForStatusUpdate: prepareServiceStatusUpdate,
		Validate:               validateServiceCreate,
		ValidateUpdate:         validateServiceUpdate,
		ValidateStatusUpdate:   validateServiceStatusUpdate,
		WarningsOnCreate:       func(_ context.Context, s *corev1.Service) []string { return serviceWarnings(s) },
		WarningsOnUpdate:       func(_ context.Context, s, _ *corev1.Service) []string { return serviceWarnings(s) },
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("Service"), Plural: "services", Singular: "service", ShortNames: []string{"svc"}, Categories: []string{"all"}, Namespaced: true,
		New:            func() runtime.Object { return &corev1.Service{} },
		NewList:        func() runtime.Object { return &corev1.ServiceList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        serviceColumns(),
		HasStatus:      true,
		Fields: func(obj runtime.Object) fields.Set {
			s := obj.(*corev1.Service)
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		},
	}
}

func defaultService(s *corev1.Service) {
	spec := &s.Spec
	setDefault(&spec.Type, corev1.ServiceTypeClusterIP)
	setDefault(&spec.SessionAffinity, corev1.ServiceAffinityNone)
	defaultSessionAffinity(spec)
	for i := range spec.Ports {
		p := &spec.Ports[i]
		setDefault(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	external := spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer
	if external || spec.Type == corev1.ServiceTypeClusterIP && len(spec.ExternalIPs) > 0 {
		setDefault(&spec.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if external || spec.Type == corev1.ServiceTypeClusterIP {
		setDefaultPtr(&spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if spec.Type == corev1.ServiceTypeLoadBalancer {
		setDefaultPtr(&spec.AllocateLoadBalancerNodePorts, true)
		for i := range s.Status.LoadBalancer.Ingress {
			if in := &s.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				setDefaultPtr(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

func defaultSessionAffinity(spec *corev1.ServiceSpec) {
	switch spec.SessionAffinity {
	case corev1.ServiceAffinityNone:
		spec.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		c := spec.SessionAffinityConfig
		if c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
			spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{
				ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To(corev1.DefaultClientIPServiceAffinitySeconds)},
			}
		}
	}
}

func serviceColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Type", "How the service is exposed.", func(s *corev1.Service) string { return string(s.Spec.Type) }),
		apis.Text("Cluster-IP", "The address of the service within the cluster.", func(s *corev1.Service) string {
			if len(s.Spec.ClusterIPs) > 0 {
				return s.Spec.ClusterIPs[0]
			}
			return apis.OrNone(s.Spec.ClusterIP)
		}),
		apis.Text("External-IP", "The addresses of the service outside the cluster.", externalIP),
		apis.Text("Port(s)", "The ports of the service, and their node ports.", servicePorts),
		apis.AgeColumn(),
		apis.Text("Selector", "The labels of the pods served.", func(s *corev1.Service) string { return FormatLabels(s.Spec.Selector) }).Wide(),
	}
}

func externalIP(s *corev1.Service) string {
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return apis.OrNone(strings.Join(s.Spec.ExternalIPs, ","))
	case corev1.ServiceTypeLoadBalancer:
		found := s.Spec.ExternalIPs
		if lb := LoadBalancerAddresses(s.Status.LoadBalancer.Ingress); lb != "" {
			found = append(strings.Split(lb, ","), found...)
		}
		return apis.OrElse(strings.Join(found, ","), "<pending>")
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	}
	return "<unknown>"
}

// LoadBalancerAddresses joins the addresses of a load balancer for a table cell.
func LoadBalancerAddresses(ingress []corev1.LoadBalancerIngress) string {
	found := sets.New[string]()
	for _, in := range ingress {
		if in.IP != "" {
			found.Insert(in.IP)
		} else if in.Hostname != "" {
			found.Insert(in.Hostname)
		}
	}
	return strings.Join(sets.List(found), ",")
}

func servicePorts(s *corev1.Service) string {
	parts := make([]string, len(s.Spec.Ports))
	for i, p := range s.Spec.Ports {
		parts[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			parts[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return apis.OrNone(strings.Join(parts, ","))
}
