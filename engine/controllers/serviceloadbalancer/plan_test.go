package serviceloadbalancer_test

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/serviceloadbalancer"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func planWith(t testing.TB, pool string) func(w *plantest.World) reconcile.Result {
	p, err := serviceloadbalancer.ParsePool(pool)
	if err != nil {
		t.Fatal(err)
	}
	return func(w *plantest.World) reconcile.Result {
		return serviceloadbalancer.Plan(serviceloadbalancer.Observed{Services: plantest.List[*corev1.Service](w), Pool: p})
	}
}

func TestScenarios(t *testing.T) { plantest.Run(t, planWith(t, "10.0.0.1-10.0.0.2"), nil) }

func TestParsePool(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "10.0.0.0/30": "10.0.0.1-10.0.0.2", "10.0.0.5": "10.0.0.5", "10.0.0.5/32": "10.0.0.5",
		"10.0.0.9-10.0.0.11, fd00::/126": "10.0.0.9-10.0.0.11,fd00::1-fd00::3",
		"10.0.0.0/31":                    "error", "10.0.0.2-10.0.0.1": "error", "pool": "error", "10.0.0.1-fd00::1": "error",
	} {
		pool, err := serviceloadbalancer.ParsePool(text)
		if got := pool.String(); err != nil && want != "error" || err == nil && got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestNoAddressTwice lets services come, go and change at random, with crashes.
func TestNoAddressTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, _ := serviceloadbalancer.ParsePool("10.0.0.1-10.0.0.3")
		w := plantest.NewWorld()
		plan := func() reconcile.Result {
			return serviceloadbalancer.Plan(serviceloadbalancer.Observed{Services: plantest.List[*corev1.Service](w), Pool: pool})
		}
		for range 30 {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("s", rapid.IntRange(0, 4).Draw(t, "which"))}}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				w.Remove(service)
			case 1:
				service.Spec.Type = corev1.ServiceTypeLoadBalancer
				service.Spec.LoadBalancerIP = rapid.SampledFrom([]string{"", "", "10.0.0.2"}).Draw(t, "asks")
				// As somebody may have written it.
				if ip := rapid.SampledFrom([]string{"", "10.0.0.1", "9.9.9.9"}).Draw(t, "status"); ip != "" {
					service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: ip}}
				}
				w.Put(service)
			default:
				result := plan()
				result.Actions = result.Actions[:rapid.IntRange(0, len(result.Actions)).Draw(t, "crash")]
				w.Act(result)
			}
		}
		for range 5 {
			w.Act(plan())
		}
		has := map[netip.Addr]string{}
		for _, service := range plantest.List[*corev1.Service](w) {
			for _, in := range service.Status.LoadBalancer.Ingress {
				addr := netip.MustParseAddr(in.IP)
				if !pool.Contains(addr) || has[addr] != "" {
					t.Fatalf("%s has %s, and so has %q", service.Name, addr, has[addr])
				}
				has[addr] = service.Name
			}
		}
		for _, action := range plan().Actions {
			if _, ok := action.(reconcile.Event); !ok {
				t.Fatalf("not settled: %+v", action)
			}
		}
	})
}
