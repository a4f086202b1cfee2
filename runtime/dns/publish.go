package dns

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// where the cluster's DNS is known to be.
const (
	serviceNamespace = metav1.NamespaceSystem
	serviceName      = "kube-dns"
	sliceName        = "kube-dns-pintle"
)

// Publish makes the servers at these addresses the endpoints of kube-dns, with
// the Service's cluster address fixed. Without a selector the Service has no
// other endpoints. It may be called at every start.
func Publish(ctx context.Context, client kubernetes.Interface, serviceIP netip.Addr, servers []netip.AddrPort) error {
	if err := ensureService(ctx, client, desiredService(serviceIP)); err != nil {
		return fmt.Errorf("publish Service %s/%s: %w", serviceNamespace, serviceName, err)
	}
	if err := ensureSlice(ctx, client, desiredSlice(servers)); err != nil {
		return fmt.Errorf("publish EndpointSlice %s/%s: %w", serviceNamespace, sliceName, err)
	}
	return nil
}

func desiredService(ip netip.Addr) *corev1.Service {
	port := func(name string, p corev1.Protocol) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Protocol: p, Port: 53, TargetPort: intstr.FromInt32(Port)}
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: serviceNamespace, Name: serviceName, Labels: map[string]string{
			"k8s-app":                       "kube-dns",
			"kubernetes.io/cluster-service": "true",
			"kubernetes.io/name":            "CoreDNS",
		}},
		Spec: corev1.ServiceSpec{
			ClusterIP:  ip.String(),
			ClusterIPs: []string{ip.String()},
			Ports:      []corev1.ServicePort{port("dns", corev1.ProtocolUDP), port("dns-tcp", corev1.ProtocolTCP)},
		},
	}
}

func desiredSlice(servers []netip.AddrPort) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: serviceNamespace, Name: sliceName, Labels: map[string]string{
			discoveryv1.LabelServiceName: serviceName,
			discoveryv1.LabelManagedBy:   "dns.pintle.io",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	ready := true
	for i, server := range servers {
		if i == 0 {
			s.Ports = slicePorts(int32(server.Port()))
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{server.Addr().String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		})
	}
	return s
}

func slicePorts(port int32) []discoveryv1.EndpointPort {
	one := func(name string, p corev1.Protocol) discoveryv1.EndpointPort {
		return discoveryv1.EndpointPort{Name: &name, Protocol: &p, Port: &port}
	}
	return []discoveryv1.EndpointPort{one("dns", corev1.ProtocolUDP), one("dns-tcp", corev1.ProtocolTCP)}
}

// ensureService creates the Service, or corrects its ports; the rest may have
// been changed by the user on purpose.
func ensureService(ctx context.Context, client kubernetes.Interface, want *corev1.Service) error {
	api := client.CoreV1().Services(want.Namespace)
	have, err := api.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = api.Create(ctx, want, metav1.CreateOptions{})
		return err
	}
	if err != nil || samePorts(have.Spec.Ports, want.Spec.Ports) {
		return err
	}
	update := have.DeepCopy()
	update.Spec.Ports = want.Spec.Ports
	_, err = api.Update(ctx, update, metav1.UpdateOptions{})
	return err
}

func samePorts(a, b []corev1.ServicePort) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Protocol != b[i].Protocol || a[i].Port != b[i].Port || a[i].TargetPort != b[i].TargetPort {
			return false
		}
	}
	return true
}

func ensureSlice(ctx context.Context, client kubernetes.Interface, want *discoveryv1.EndpointSlice) error {
	api := client.DiscoveryV1().EndpointSlices(want.Namespace)
	have, err := api.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = api.Create(ctx, want, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(have.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(have.Ports, want.Ports) {
		return nil
	}
	update := have.DeepCopy()
	update.Endpoints, update.Ports = want.Endpoints, want.Ports
	_, err = api.Update(ctx, update, metav1.UpdateOptions{})
	return err
}
