package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func validService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.10", ClusterIPs: []string{"10.96.0.10"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack),
			Ports:          []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
}

func TestServiceCreate(t *testing.T) {
	apistest.RunCreate(t, services(), validService, map[string]apistest.Case[*corev1.Service]{
		"name":     {Change: func(s *corev1.Service) { s.Name = "Web" }, Want: []string{"metadata.name: Invalid value"}},
		"no ports": {Change: func(s *corev1.Service) { s.Spec.Ports = nil }, Want: []string{"spec.ports: Required value"}},
		"headless": {Change: func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.Ports = "None", []string{"None"}, nil
		}},
		"port":                    {Change: func(s *corev1.Service) { s.Spec.Ports[0].Port = 0 }, Want: []string{"spec.ports[0].port: Invalid value", "spec.ports[0].targetPort: Invalid value"}},
		"target":                  {Change: func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromString("Bad Name") }, Want: []string{"spec.ports[0].targetPort: Invalid value"}},
		"second, unnamed":         {Change: func(s *corev1.Service) { s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: 81}) }, Want: []string{"spec.ports[1].name: Required value"}},
		"same port twice":         {Change: func(s *corev1.Service) { s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "b", Port: 80}) }, Want: []string{"spec.ports[1]: Duplicate value"}},
		"node port, cluster type": {Change: func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30000 }, Want: []string{"spec.ports[0].nodePort: Forbidden"}},
		"type":                    {Change: func(s *corev1.Service) { s.Spec.Type = "Magic" }, Want: []string{"spec.type: Unsupported value"}},
		"external name":           {Change: func(s *corev1.Service) { s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName} }, Want: []string{"spec.externalName: Required value"}},
		"affinity":                {Change: func(s *corev1.Service) { s.Spec.SessionAffinity = "Sticky" }, Want: []string{"spec.sessionAffinity: Unsupported value"}},
		"affinity timeout": {Change: func(s *corev1.Service) {
			s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To(int32(0))}}
		}, Want: []string{"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value"}},
		"external policy":     {Change: func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }, Want: []string{"spec.externalTrafficPolicy: Invalid value"}},
		"load balancer class": {Change: func(s *corev1.Service) { s.Spec.LoadBalancerClass = ptr.To("x") }, Want: []string{"spec.loadBalancerClass: Forbidden"}},
		"external loopback":   {Change: func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"127.0.0.1"} }, Want: []string{"spec.externalIPs[0]: Invalid value"}},
		"three of one port": {Change: func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "b", Port: 80}, corev1.ServicePort{Name: "b", Port: 80})
		}, Want: []string{"spec.ports[2].name: Duplicate value", "spec.ports[1]: Duplicate value", "spec.ports[2]: Duplicate value"}},
		"families":         {Change: func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPv5", "IPv4", "IPv4"} }, Want: []string{"spec.ipFamilies[0]: Unsupported value", "spec.ipFamilies[2]: Duplicate value"}},
		"address alone":    {Change: func(s *corev1.Service) { s.Spec.ClusterIPs = nil }, Want: []string{"spec.clusterIPs: Required value"}},
		"addresses alone":  {Change: func(s *corev1.Service) { s.Spec.ClusterIP = "" }, Want: []string{"spec.clusterIPs: Invalid value"}},
		"not the first":    {Change: func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.9" }, Want: []string{"spec.clusterIPs: Invalid value"}},
		"None, not alone":  {Change: func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None", "10.96.0.9"} }, Want: []string{"spec.clusterIPs: Invalid value"}},
		"no load balancer": {Change: func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"zz"} }, Want: []string{"spec.LoadBalancerSourceRanges: Forbidden", "spec.LoadBalancerSourceRanges[0]: Invalid value"}},
		"annotated ranges": {Change: func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.AnnotationLoadBalancerSourceRangesKey: "10.0.0.0/8, zz"}
		}, Want: []string{"metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Forbidden", "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value"}},
		"topology twice": {Change: func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.DeprecatedAnnotationTopologyAwareHints: "a", corev1.AnnotationTopologyMode: "b"}
		}, Want: []string{"metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value"}},
		"wrong family": {Change: func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }, Want: []string{"spec.clusterIPs[0]: Invalid value"}},
	})
}

func TestServiceUpdate(t *testing.T) {
	apistest.RunUpdate(t, services(), validService, map[string]apistest.Case[*corev1.Service]{
		"address":          {Change: func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.11", []string{"10.96.0.11"} }, Want: []string{"spec.clusterIPs[0]: Invalid value"}},
		"address gone":     {Change: func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil }, Want: []string{"spec.clusterIPs[0]: Invalid value"}},
		"address added":    {Change: func(s *corev1.Service) { s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, "fd00::1") }},
		"becomes headless": {Change: func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} }, Want: []string{"spec.clusterIPs[0]: Invalid value"}},
		"other family":     {Change: func(s *corev1.Service) { s.Spec.IPFamilies[0] = corev1.IPv6Protocol }, Want: []string{"spec.ipFamilies[0]: Invalid value", "spec.clusterIPs[0]: Invalid value"}},
		"selector":         {Change: func(s *corev1.Service) { s.Spec.Selector = map[string]string{"a": "b"} }},
		"to external name": {Change: func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
		}},
	})
}

func TestServiceStatus(t *testing.T) {
	balanced := func() *corev1.Service {
		s := validService()
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		return s
	}
	ingress := func(in corev1.LoadBalancerIngress) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{in} }
	}
	apistest.RunStatus(t, services(), balanced, map[string]apistest.Case[*corev1.Service]{
		"address":         {Change: ingress(corev1.LoadBalancerIngress{IP: "10.0.0.1"})},
		"bad address":     {Change: ingress(corev1.LoadBalancerIngress{IP: "zz"}), Want: []string{"status.loadBalancer.ingress[0].ip: Invalid value"}},
		"mode of none":    {Change: ingress(corev1.LoadBalancerIngress{IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)}), Want: []string{"status.loadBalancer.ingress[0].ipMode: Forbidden"}},
		"unknown mode":    {Change: ingress(corev1.LoadBalancerIngress{IP: "10.0.0.1", IPMode: ptr.To(corev1.LoadBalancerIPMode("x"))}), Want: []string{"status.loadBalancer.ingress[0].ipMode: Unsupported value"}},
		"address as name": {Change: ingress(corev1.LoadBalancerIngress{Hostname: "10.0.0.1"}), Want: []string{"status.loadBalancer.ingress[0].hostname: Invalid value"}},
	})
	apistest.RunStatus(t, services(), validService, map[string]apistest.Case[*corev1.Service]{
		"not balanced": {Change: ingress(corev1.LoadBalancerIngress{IP: "zz"}), Want: []string{"status.loadBalancer.ingress: Forbidden"}},
	})
}

func TestNodePortsGoWithTheType(t *testing.T) {
	old := validService()
	old.Spec.Type = corev1.ServiceTypeNodePort
	old.Spec.Ports[0].NodePort = 30000
	defaultService(old)
	s := old.DeepCopy()
	s.Spec.Type = corev1.ServiceTypeClusterIP
	if errs := apistest.Update(services(), s, old); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	if s.Spec.Ports[0].NodePort != 0 || s.Spec.ExternalTrafficPolicy != "" {
		t.Errorf("left from the old type: %+v", s.Spec)
	}
	if old.Spec.Ports[0].NodePort != 30000 {
		t.Error("the old service was changed")
	}
}

func TestServiceCells(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Service)
		want   map[string]any
	}{
		"cluster": {func(*corev1.Service) {}, map[string]any{"Type": "ClusterIP", "Cluster-IP": "10.96.0.10", "External-IP": "<none>", "Port(s)": "80/TCP", "Selector": "<none>"}},
		"waiting balancer": {func(s *corev1.Service) {
			s.Spec.Type, s.Spec.Ports[0].NodePort, s.Spec.Selector = corev1.ServiceTypeLoadBalancer, 31000, map[string]string{"a": "b"}
		}, map[string]any{"Type": "LoadBalancer", "Cluster-IP": "10.96.0.10", "External-IP": "<pending>", "Port(s)": "80:31000/TCP", "Selector": "a=b"}},
		"external": {func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: "ExternalName", ExternalName: "example.com"}
		}, map[string]any{
			"Type": "ExternalName", "Cluster-IP": "<none>", "External-IP": "example.com", "Port(s)": "<none>", "Selector": "<none>",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := validService()
			c.change(s)
			defaultService(s)
			got := apistest.Cells(services(), s)
			delete(got, "Name")
			delete(got, "Age")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}
