package bootstrap

import (
	"net"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Config says how the server is reached from inside the cluster.
type Config struct {
	// ServiceIP is the cluster address of the kubernetes Service; nil leaves the
	// Service and its endpoints out.
	ServiceIP net.IP
	// AdvertiseIP and Port are where the server listens, as pods may reach it. A
	// loopback or unspecified address has no endpoints.
	AdvertiseIP net.IP
	Port        int32
}

// Namespaces are the namespaces that always exist.
func Namespaces() []string {
	return []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}
}

// Objects returns, freshly made, everything a cluster starts with; namespaces
// come first.
func Objects(cfg Config) []runtime.Object {
	var out []runtime.Object
	for _, name := range Namespaces() {
		out = append(out, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	out = append(out, priorityClass("system-cluster-critical", 2_000_000_000,
		"Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."))
	out = append(out, priorityClass("system-node-critical", 2_000_001_000,
		"Used for system critical pods that must not be moved from their current node."))
	out = append(out, localStorage())
	out = append(out, access()...)
	if cfg.ServiceIP != nil {
		out = append(out, service(cfg)...)
	}
	return out
}

func priorityClass(name string, value int32, description string) *schedulingv1.PriorityClass {
	preempt := corev1.PreemptLowerPriority
	return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: description, PreemptionPolicy: &preempt}
}

// localStorage is the default class: directories on the node of the first consumer,
// made by the built-in provisioner.
func localStorage() *storagev1.StorageClass {
	wait, remove, grow := storagev1.VolumeBindingWaitForFirstConsumer, corev1.PersistentVolumeReclaimDelete, true
	return &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: "local", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: "pintle.io/local", VolumeBindingMode: &wait, ReclaimPolicy: &remove, AllowVolumeExpansion: &grow,
	}
}

// access returns all roles and bindings. Roles that aggregate come with the rules
// of ours that they collect, so that they work before the controller has run.
func access() []runtime.Object {
	roles := append(clusterRoles(), controllerRoles()...)
	var out []runtime.Object
	for i := range roles {
		role := roles[i].clusterRole()
		if label := roles[i].aggregate; label != "" {
			role.Rules = collect(roles, label)
		}
		out = append(out, role)
	}
	for _, b := range append(clusterRoleBindings(), controllerBindings()...) {
		out = append(out, b)
	}
	return append(out, namespaced()...)
}

func collect(roles []role, label string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for i := range roles {
		if roles[i].labels[label] != "true" {
			continue
		}
		rules = append(rules, roles[i].rules...)
		if nested := roles[i].aggregate; nested != "" {
			rules = append(rules, collect(roles, nested)...)
		}
	}
	return rules
}

// service returns the kubernetes Service and, if pods can reach the server, its
// Endpoints and EndpointSlice.
func service(cfg Config) []runtime.Object {
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}
	}
	svc := &corev1.Service{ObjectMeta: meta()}
	svc.Labels = map[string]string{"component": "apiserver", "provider": "kubernetes"}
	single := corev1.IPFamilyPolicySingleStack
	family, addressType := corev1.IPv4Protocol, discoveryv1.AddressTypeIPv4
	if cfg.ServiceIP.To4() == nil {
		family, addressType = corev1.IPv6Protocol, discoveryv1.AddressTypeIPv6
	}
	svc.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: cfg.ServiceIP.String(), ClusterIPs: []string{cfg.ServiceIP.String()},
		IPFamilies: []corev1.IPFamily{family}, IPFamilyPolicy: &single, SessionAffinity: corev1.ServiceAffinityNone,
		Ports: []corev1.ServicePort{{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt32(cfg.Port)}},
	}
	ip := cfg.AdvertiseIP
	if ip == nil || ip.IsLoopback() || ip.IsUnspecified() {
		return []runtime.Object{svc}
	}
	// The slice is written here, so no mirroring of the Endpoints is wanted.
	endpoints := &corev1.Endpoints{ObjectMeta: meta()}
	endpoints.Labels = map[string]string{discoveryv1.LabelSkipMirror: "true"}
	endpoints.Subsets = []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: ip.String()}},
		Ports:     []corev1.EndpointPort{{Name: "https", Port: cfg.Port, Protocol: corev1.ProtocolTCP}},
	}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta(), AddressType: addressType}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "kubernetes"}
	ready, name, port, protocol := true, "https", cfg.Port, corev1.ProtocolTCP
	slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}
	slice.Ports = []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}}
	return []runtime.Object{svc, endpoints, slice}
}
