package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
)

func service(name string, kind corev1.ServiceType) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"a": "b"}},
	}
}

func TestServiceAddressesAndPorts(t *testing.T) {
	e := start(t, func(r *registry.Config, _ *apiserver.Config) {
		r.ServiceCIDRs, r.NodePorts = []string{"10.1.2.0/29"}, registry.PortRange{First: 30000, Last: 30001}
	})
	ns := e.namespace(t, "a")
	services := e.kube.CoreV1().Services(ns)
	seen := map[string]bool{}
	for i := range 6 { // a /29 has six usable addresses
		s, err := services.Create(e.ctx, service(fmt.Sprint("s", i), corev1.ServiceTypeClusterIP), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.Spec.ClusterIP, "10.1.2.") || seen[s.Spec.ClusterIP] || len(s.Spec.ClusterIPs) != 1 {
			t.Errorf("address %q %v", s.Spec.ClusterIP, s.Spec.ClusterIPs)
		}
		seen[s.Spec.ClusterIP] = true
		if len(s.Spec.IPFamilies) != 1 || *s.Spec.IPFamilyPolicy != corev1.IPFamilyPolicySingleStack {
			t.Errorf("families %v %v", s.Spec.IPFamilies, s.Spec.IPFamilyPolicy)
		}
	}
	_, err := services.Create(e.ctx, service("full", corev1.ServiceTypeClusterIP), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "range is full") {
		t.Errorf("full range: %v", err)
	}
	if err := services.Delete(e.ctx, "s0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := services.Create(e.ctx, service("dry", corev1.ServiceTypeNodePort), dry); err != nil {
		t.Fatal(err)
	}
	s, err := services.Create(e.ctx, service("np", corev1.ServiceTypeNodePort), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("the deleted service's address, and what the dry run took, are free again: %v", err)
	}
	port := s.Spec.Ports[0].NodePort
	if port != 30000 && port != 30001 {
		t.Errorf("node port %d", port)
	}
	taken := service("taken", corev1.ServiceTypeNodePort)
	taken.Spec.Ports[0].NodePort = port
	if _, err := services.Create(e.ctx, taken, metav1.CreateOptions{}); !apierrors.IsInternalError(err) && !apierrors.IsInvalid(err) {
		t.Errorf("taken port: %v", err)
	}
}

func TestServiceUpdatesKeepWhatWasAllocated(t *testing.T) {
	e := start(t)
	services := e.kube.CoreV1().Services(e.namespace(t, "a"))
	first, err := services.Create(e.ctx, service("s", corev1.ServiceTypeNodePort), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := services.Update(e.ctx, service("s", corev1.ServiceTypeNodePort), metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if replaced.Spec.ClusterIP != first.Spec.ClusterIP || replaced.Spec.Ports[0].NodePort != first.Spec.Ports[0].NodePort {
		t.Errorf("replacing by the first manifest changed %v to %v", first.Spec, replaced.Spec)
	}
	moved := replaced.DeepCopy()
	moved.Spec.ClusterIP = "10.96.1.1"
	if _, err := services.Update(e.ctx, moved, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "may not change once set") {
		t.Errorf("another address: %v", err)
	}
	replaced.Spec.Type = corev1.ServiceTypeClusterIP
	plain, err := services.Update(e.ctx, replaced, metav1.UpdateOptions{})
	if err != nil || plain.Spec.Ports[0].NodePort != 0 {
		t.Fatalf("to ClusterIP: %v %v", plain, err)
	}
	second := service("t", corev1.ServiceTypeNodePort)
	second.Spec.Ports[0].NodePort = first.Spec.Ports[0].NodePort
	if _, err := services.Create(e.ctx, second, metav1.CreateOptions{}); err != nil {
		t.Errorf("the port given up: %v", err)
	}
	plain.Spec.Type, plain.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
	external, err := services.Update(e.ctx, plain, metav1.UpdateOptions{})
	if err != nil || external.Spec.ClusterIP != "" {
		t.Fatalf("to ExternalName: %+v %v", external, err)
	}
	again := service("u", corev1.ServiceTypeClusterIP)
	again.Spec.ClusterIP = first.Spec.ClusterIP
	if _, err := services.Create(e.ctx, again, metav1.CreateOptions{}); err != nil {
		t.Errorf("the address given up: %v", err)
	}
	clash := service("v", corev1.ServiceTypeClusterIP)
	clash.Spec.ClusterIP = first.Spec.ClusterIP
	if _, err := services.Create(e.ctx, clash, metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Errorf("clash: %v", err)
	}
	headless := service("h", corev1.ServiceTypeClusterIP)
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	if s, err := services.Create(e.ctx, headless, metav1.CreateOptions{}); err != nil || s.Spec.ClusterIPs[0] != corev1.ClusterIPNone {
		t.Errorf("headless: %v", err)
	}
}

// The configured range and every cluster address are objects of the API, and go
// with the service that held them.
func TestServiceAddressesAreObjects(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	networking := e.kube.NetworkingV1()
	w, err := networking.ServiceCIDRs().Watch(e.ctx, metav1.ListOptions{FieldSelector: "metadata.name=kubernetes"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for {
		if r := next(t, w).Object.(*networkingv1.ServiceCIDR); len(r.Status.Conditions) == 1 {
			if c := r.Status.Conditions[0]; c.Type != networkingv1.ServiceCIDRConditionReady || c.Status != metav1.ConditionTrue {
				t.Errorf("condition: %+v", c)
			}
			break
		}
	}
	made, err := e.kube.CoreV1().Services(ns).Create(e.ctx, service("one", corev1.ServiceTypeClusterIP), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address, err := networking.IPAddresses().Get(e.ctx, made.Spec.ClusterIP, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := &networkingv1.ParentReference{Resource: "services", Namespace: ns, Name: "one"}
	if diff := cmp.Diff(want, address.Spec.ParentRef); diff != "" {
		t.Errorf("parent (-want +got):\n%s", diff)
	}
	if err := e.kube.CoreV1().Services(ns).Delete(e.ctx, "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := networking.IPAddresses().Get(e.ctx, address.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("address after its service is gone: %v", err)
	}
}
