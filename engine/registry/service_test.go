package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// TestAllocatorHoldsWhatServicesHold drives the allocator through writes that
// succeed, fail and are dry: afterwards exactly what the services hold is taken.
func TestAllocatorHoldsWhatServicesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &allocator{}
		var err error
		cidrs := rapid.SampledFrom([][]string{{"10.0.0.0/28"}, {"10.0.0.0/28", "fd00::/124"}}).Draw(t, "cidrs")
		if a.ranges, err = newRanges(cidrs); err != nil {
			t.Fatal(err)
		}
		if a.ports, err = newPorts(PortRange{First: 30000, Last: 30009}); err != nil {
			t.Fatal(err)
		}
		services := map[string]*corev1.Service{}
		ctx := context.Background()
		name := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name") }
		dry := func(t *rapid.T) []string {
			if rapid.Bool().Draw(t, "dry") {
				return []string{metav1.DryRunAll}
			}
			return nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				n, dryRun := name(t), dry(t)
				if services[n] != nil {
					return
				}
				service := drawService(t)
				finish, err := a.beginCreate(ctx, service, &metav1.CreateOptions{DryRun: dryRun})
				if err != nil {
					return
				}
				stored := rapid.Bool().Draw(t, "stored")
				finish(ctx, stored)
				if stored && dryRun == nil {
					services[n] = service
				}
			},
			"update": func(t *rapid.T) {
				n, dryRun := name(t), dry(t)
				before := services[n]
				if before == nil {
					return
				}
				service := drawService(t)
				if rapid.Bool().Draw(t, "edited") { // a client that sends back what it read
					kind := service.Spec.Type
					service = before.DeepCopy()
					service.Spec.Type = kind
				}
				finish, err := a.beginUpdate(ctx, service, before.DeepCopy(), &metav1.UpdateOptions{DryRun: dryRun})
				if err != nil {
					return
				}
				// The rules of the kind clear what an external name has no use for, and refuse
				// what the allocator leaves to them: another address, or one after None.
				if !needsClusterIP(service) {
					service.Spec.ClusterIP, service.Spec.ClusterIPs = "", nil
					service.Spec.IPFamilies, service.Spec.IPFamilyPolicy = nil, nil
				}
				had, has := before.Spec.ClusterIPs, service.Spec.ClusterIPs
				valid := len(had) == 0 || len(has) == 0 || sameStart(had, has)
				stored := valid && rapid.Bool().Draw(t, "stored")
				finish(ctx, stored)
				if stored && dryRun == nil {
					services[n] = service
				}
			},
			"delete": func(t *rapid.T) {
				n, dryRun := name(t), dry(t)
				if services[n] == nil {
					return
				}
				a.afterDelete(services[n], &metav1.DeleteOptions{DryRun: dryRun})
				if dryRun == nil {
					delete(services, n)
				}
			},
			"": func(t *rapid.T) {
				ips, ports := map[string]bool{}, map[int]bool{}
				for _, service := range services {
					for _, ip := range heldIPs(service) {
						if ips[ip] {
							t.Fatalf("address %s is held twice", ip)
						}
						ips[ip] = true
					}
					for _, port := range nodePortsOf(service) {
						if ports[port-a.ports.First] {
							t.Fatalf("port %d is held twice", port)
						}
						ports[port-a.ports.First] = true
					}
				}
				taken := map[string]bool{}
				for _, r := range a.ranges {
					for n := range r.bits.mu.used {
						taken[r.at(n).String()] = true
					}
				}
				if !maps.Equal(ips, taken) || !maps.Equal(ports, a.ports.bits.mu.used) {
					t.Fatalf("services hold %v %v, allocator says %v %v", ips, ports, taken, a.ports.bits.mu.used)
				}
			},
		})
	})
}

// sameStart says that one is what the other begins with.
func sameStart(a, b []string) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

func drawService(t *rapid.T) *corev1.Service {
	service := &corev1.Service{Spec: corev1.ServiceSpec{Type: rapid.SampledFrom([]corev1.ServiceType{
		corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName,
	}).Draw(t, "type")}}
	switch rapid.IntRange(0, 4).Draw(t, "address") {
	case 0:
		service.Spec.ClusterIP = corev1.ClusterIPNone
	case 1:
		service.Spec.ClusterIP = fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 14).Draw(t, "last"))
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		service.Spec.ClusterIP = ""
	} else if policy := rapid.SampledFrom([]corev1.IPFamilyPolicy{"", corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack}).Draw(t, "policy"); policy != "" {
		service.Spec.IPFamilyPolicy = &policy
	}
	if service.Spec.Type == corev1.ServiceTypeLoadBalancer && rapid.Bool().Draw(t, "local") {
		service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "ports") {
		p := corev1.ServicePort{
			Name: fmt.Sprint(i), Port: int32(80 + rapid.IntRange(0, 1).Draw(t, "port")),
			Protocol: rapid.SampledFrom([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}).Draw(t, "protocol"),
		}
		if needsNodePort(service) && rapid.IntRange(0, 3).Draw(t, "named") == 0 {
			p.NodePort = int32(rapid.IntRange(30000, 30009).Draw(t, "nodePort"))
		}
		service.Spec.Ports = append(service.Spec.Ports, p)
	}
	return service
}
