package proxy

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// BenchmarkServiceChange is how long one changed EndpointSlice takes to the kernel when
// there are 10,000 endpoints, in 1,000 Services. Most of it is nft, a process; the wait
// for more changes (follow's settle, 10 ms) comes on top.
func BenchmarkServiceChange(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		b.Skip("needs nft")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the benchmark
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Fatal(err)
	}
	const services, each = 1000, 10
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	p, err := New(Config{
		NodeName: "node-a", ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Services: factory.Core().V1().Services(), EndpointSlices: factory.Discovery().V1().EndpointSlices(),
	})
	if err != nil {
		b.Fatal(err)
	}
	slices := factory.Discovery().V1().EndpointSlices().Informer().GetIndexer()
	put := func(i, shift int) {
		if err := slices.Update(benchSlice(i, shift, each)); err != nil {
			b.Fatal(err)
		}
	}
	for i := range services {
		if err := factory.Core().V1().Services().Informer().GetIndexer().Add(benchService(i)); err != nil {
			b.Fatal(err)
		}
		put(i, 0)
	}
	if err := p.sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var worst time.Duration
	for n := 0; b.Loop(); n++ {
		put(n%services, n/services+1)
		start := time.Now()
		if err := p.sync(b.Context()); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(start))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
}

func benchService(i int) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("svc-%d", i), ResourceVersion: "1"},
		Spec: corev1.ServiceSpec{
			ClusterIP: netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)}).String(),
			Type:      corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: int32(30000 + i)}},
		},
	}
}

// benchSlice has n endpoints of a Service's own; the last moves with shift.
func benchSlice(i, shift, n int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("svc-%d-1", i), ResourceVersion: fmt.Sprint(shift + 1),
			Labels: map[string]string{discoveryv1.LabelServiceName: fmt.Sprintf("svc-%d", i)}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(8080))}},
	}
	for j := range n {
		last := byte(j)
		if j == n-1 {
			last += byte(shift % 200)
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{netip.AddrFrom4([4]byte{10, byte(100 + i>>8), byte(i), last}).String()},
			NodeName:  ptr.To("node-b"),
		})
	}
	return s
}
