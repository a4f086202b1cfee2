package endpointslice

import (
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/endpointslice"
	endpointutil "k8s.io/endpointslice/util"
	"k8s.io/utils/ptr"
)

// families are the address families a Service has slices for.
func families(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, f := range svc.Spec.IPFamilies {
		if f == corev1.IPv6Protocol {
			out = append(out, discoveryv1.AddressTypeIPv6)
		} else {
			out = append(out, discoveryv1.AddressTypeIPv4)
		}
	}
	if out == nil {
		out = append(out, discoveryv1.AddressTypeIPv4)
	}
	return out
}

// Endpoint describes one pod behind a Service. It has no addresses if the pod has
// none of the family.
func Endpoint(svc *corev1.Service, pod *corev1.Pod, family discoveryv1.AddressType, zone string) discoveryv1.Endpoint {
	serving := endpointutil.IsPodReady(pod)
	terminating := pod.DeletionTimestamp != nil
	endpoint := discoveryv1.Endpoint{
		Addresses: addresses(pod, family),
		Conditions: discoveryv1.EndpointConditions{
			Ready:       ptr.To(svc.Spec.PublishNotReadyAddresses || serving && !terminating),
			Serving:     &serving,
			Terminating: &terminating,
		},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		endpoint.NodeName = &pod.Spec.NodeName
	}
	if zone != "" {
		endpoint.Zone = &zone
	}
	if endpointutil.ShouldSetHostname(pod, svc) {
		endpoint.Hostname = &pod.Spec.Hostname
	}
	return endpoint
}

func addresses(pod *corev1.Pod, family discoveryv1.AddressType) []string {
	var out []string
	for _, ip := range pod.Status.PodIPs {
		addr, err := netip.ParseAddr(ip.IP)
		if err == nil && addr.Is4() == (family == discoveryv1.AddressTypeIPv4) {
			out = append(out, addr.String())
		}
	}
	return out
}

// Ports resolves a Service's ports on a pod; a named port the pod does not have
// is left out.
func Ports(svc *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range svc.Spec.Ports {
		port := &svc.Spec.Ports[i]
		number, err := endpointslice.FindPort(pod, port)
		if err != nil {
			continue
		}
		out = append(out, discoveryv1.EndpointPort{
			Name: &port.Name, Port: ptr.To(int32(number)), Protocol: &port.Protocol, AppProtocol: port.AppProtocol,
		})
	}
	return out
}

// Labels are those of a Service's slices: the Service's own and the marks by
// which consumers find them.
func Labels(svc *corev1.Service) map[string]string {
	out := maps.Clone(svc.Labels)
	if out == nil {
		out = map[string]string{}
	}
	delete(out, corev1.IsHeadlessService)
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		out[corev1.IsHeadlessService] = ""
	}
	out[discoveryv1.LabelServiceName] = svc.Name
	out[discoveryv1.LabelManagedBy] = ManagedBy
	return out
}
