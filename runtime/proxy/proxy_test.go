package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/knftables"

	"github.com/pintle-io/pintle/runtime/follow"
	"github.com/pintle-io/pintle/runtime/network"
)

// inThrowAwayNetns moves the test's thread into a new network namespace.
func inThrowAwayNetns(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range []string{"nft", "/usr/lib/cni/bridge"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool + ": run `go tool task setup`")
		}
	}
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	t.Cleanup(func() {
		must(t, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
		runtime.UnlockOSThread()
		must(t, home.Close())
	})
	must(t, exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pod is a namespace on the bridge where a server answers, on TCP and UDP port
// 8080, its own name and the client's address.
type pod struct{ name, netns, ip string }

func newPod(t *testing.T, n *network.Network, name string) pod {
	t.Helper()
	netns := filepath.Join(t.TempDir(), name)
	obj := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	ips, err := n.Setup(t.Context(), name, netns, obj)
	must(t, err)
	must(t, network.InNetns(netns, func() error { return serve(t, name) }))
	return pod{name, netns, ips[0]}
}

func serve(t *testing.T, name string) error {
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", ":8080")
	if err != nil {
		return err
	}
	t.Cleanup(func() { _, _ = l.Close(), u.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "%s saw %s", name, conn.RemoteAddr().(*net.TCPAddr).IP)
			_ = conn.Close()
		}
	}()
	go func() {
		buf := make([]byte, 64)
		for {
			_, peer, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo([]byte(name+" saw "+peer.(*net.UDPAddr).IP.String()), peer)
		}
	}()
	return nil
}

// dial answers what the server said, from inside the namespace ("": this one).
func dial(netns, addr string) (string, error) {
	var said string
	err := network.InNetns(netns, func() error {
		conn, err := net.DialTimeout("tcp4", addr, 3*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		data, err := io.ReadAll(conn)
		said = string(data)
		return err
	})
	return said, err
}

func wantDial(t *testing.T, netns, addr, want string) {
	t.Helper()
	if got, err := dial(netns, addr); err != nil || got != want {
		t.Errorf("to %s: %q, %v; want %q", addr, got, err, want)
	}
}

// cluster is a fake API with a Proxy that is synced by hand, on the test's thread.
type cluster struct {
	t      *testing.T
	client *fake.Clientset
	proxy  *Proxy
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	p, err := New(Config{
		NodeName:       "node-a",
		ClusterCIDRs:   []netip.Prefix{testCIDR},
		Services:       factory.Core().V1().Services(),
		EndpointSlices: factory.Discovery().V1().EndpointSlices(),
	})
	must(t, err)
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	if !p.changes.Wait(t.Context()) {
		t.Fatal("informers did not start")
	}
	return &cluster{t, client, p}
}

// endpoints replaces the slice of Service "web" and waits until it is seen.
func (c *cluster) endpoints(protocol corev1.Protocol, ips ...string) {
	c.t.Helper()
	port := int32(8080)
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", ResourceVersion: fmt.Sprint(time.Now().UnixNano()),
			Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: &port, Protocol: &protocol}},
	}
	for _, ip := range ips {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip}})
	}
	api := c.client.DiscoveryV1().EndpointSlices("default")
	_, err := api.Update(c.t.Context(), s, metav1.UpdateOptions{})
	if err != nil {
		_, err = api.Create(c.t.Context(), s, metav1.CreateOptions{})
	}
	must(c.t, err)
	c.settle(func() bool {
		seen, err := c.proxy.slices.EndpointSlices("default").Get("web-1")
		return err == nil && seen.ResourceVersion == s.ResourceVersion
	})
}

func (c *cluster) service(svc *corev1.Service) {
	c.t.Helper()
	svc.Namespace, svc.Name = "default", "web"
	_, err := c.client.CoreV1().Services("default").Create(c.t.Context(), svc, metav1.CreateOptions{})
	must(c.t, err)
	c.settle(func() bool {
		_, err := c.proxy.services.Services("default").Get("web")
		return err == nil
	})
}

// settle waits for the informers, then writes.
func (c *cluster) settle(seen func() bool) {
	c.t.Helper()
	deadline := time.After(5 * time.Second)
	for !seen() {
		select {
		case <-c.proxy.changes.Changes():
		case <-deadline:
			c.t.Fatal("the informer never saw the change")
		}
	}
	must(c.t, c.proxy.sync(c.t.Context()))
}

func TestServiceThroughTheKernel(t *testing.T) {
	inThrowAwayNetns(t)
	n, err := network.New(network.Config{DataDir: filepath.Join(t.TempDir(), "net"), PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")}})
	must(t, err)
	top := network.NewTopology(network.TopologyConfig{DataDir: filepath.Join(t.TempDir(), "nodes")})
	must(t, top.Up(t.Context()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		must(t, errors.Join(n.Down(ctx), top.Down(ctx)))
	})
	a, b, client := newPod(t, n, "a"), newPod(t, n, "b"), newPod(t, n, "client")
	c := newCluster(t)
	c.service(&corev1.Service{Spec: corev1.ServiceSpec{
		ClusterIP:   "10.96.0.5",
		Type:        corev1.ServiceTypeNodePort,
		ExternalIPs: []string{"192.0.2.77"},
		Ports:       []corev1.ServicePort{{Port: 80, NodePort: 30080, Protocol: corev1.ProtocolTCP}},
	}})
	const vip, gateway = "10.96.0.5:80", "10.244.0.1"

	for _, from := range []string{client.netns, ""} {
		if got, err := dial(from, vip); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("no endpoints: %q, %v; want a refusal", got, err)
		}
	}
	c.endpoints(corev1.ProtocolTCP, a.ip)
	wantDial(t, client.netns, vip, "a saw "+client.ip)
	wantDial(t, "", vip, "a saw "+gateway)
	wantDial(t, a.netns, vip, "a saw "+gateway) // to itself
	wantDial(t, client.netns, gateway+":30080", "a saw "+gateway)
	wantDial(t, "", "127.0.0.1:30080", "a saw "+gateway)
	wantDial(t, client.netns, "192.0.2.77:80", "a saw "+gateway)
	if got, err := dial(client.netns, "10.96.0.5:81"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a port that the Service has not: %q, %v; want a refusal", got, err)
	}

	c.endpoints(corev1.ProtocolTCP, a.ip, b.ip)
	seen := map[string]bool{}
	for range 50 {
		got, err := dial(client.netns, vip)
		must(t, err)
		seen[got] = true
	}
	if !seen["a saw "+client.ip] || !seen["b saw "+client.ip] || len(seen) != 2 {
		t.Errorf("50 connections to two endpoints: %v", seen)
	}
	c.endpoints(corev1.ProtocolTCP, b.ip)
	wantDial(t, client.netns, vip, "b saw "+client.ip)

	must(t, Cleanup(t.Context(), ""))
	out, err := exec.CommandContext(t.Context(), "nft", "list", "tables").CombinedOutput()
	if err != nil || string(out) != "table ip pintle-network\ntable ip pintle-nodes\n" && string(out) != "table ip pintle-nodes\ntable ip pintle-network\n" {
		t.Errorf("tables after the clean-up: %s (%v)", out, err)
	}
}

func TestSessionAffinity(t *testing.T) {
	inThrowAwayNetns(t)
	n, err := network.New(network.Config{DataDir: filepath.Join(t.TempDir(), "net"), PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")}})
	must(t, err)
	t.Cleanup(func() { must(t, n.Down(context.WithoutCancel(t.Context()))) })
	a, b, client := newPod(t, n, "a"), newPod(t, n, "b"), newPod(t, n, "client")
	c := newCluster(t)
	c.service(&corev1.Service{Spec: corev1.ServiceSpec{
		ClusterIP: "10.96.0.5", SessionAffinity: corev1.ServiceAffinityClientIP,
		Ports: []corev1.ServicePort{{Port: 80}},
	}})
	c.endpoints(corev1.ProtocolTCP, a.ip, b.ip)
	first, err := dial(client.netns, "10.96.0.5:80")
	must(t, err)
	for range 20 {
		wantDial(t, client.netns, "10.96.0.5:80", first)
	}
	left := map[string]string{"a saw " + client.ip: b.ip, "b saw " + client.ip: a.ip}[first]
	c.endpoints(corev1.ProtocolTCP, left)
	if second, err := dial(client.netns, "10.96.0.5:80"); err != nil || second == first {
		t.Errorf("after its endpoint went the client got %q, %v", second, err)
	}
}

// A UDP client that keeps its port must follow the endpoints.
func TestUDPFollowsEndpoints(t *testing.T) {
	inThrowAwayNetns(t)
	n, err := network.New(network.Config{DataDir: filepath.Join(t.TempDir(), "net"), PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")}})
	must(t, err)
	t.Cleanup(func() { must(t, n.Down(context.WithoutCancel(t.Context()))) })
	a, b, client := newPod(t, n, "a"), newPod(t, n, "b"), newPod(t, n, "client")
	c := newCluster(t)
	c.service(&corev1.Service{Spec: corev1.ServiceSpec{
		ClusterIP: "10.96.0.5", Ports: []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP}},
	}})
	var conn net.Conn
	must(t, network.InNetns(client.netns, func() (err error) {
		conn, err = net.Dial("udp4", "10.96.0.5:53")
		return err
	}))
	defer conn.Close()
	ask := func() string {
		_, _ = conn.Write([]byte("?"))
		must(t, conn.SetReadDeadline(time.Now().Add(3*time.Second)))
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	for _, p := range []pod{a, b, a} {
		c.endpoints(corev1.ProtocolUDP, p.ip)
		if got, want := ask(), p.name+" saw "+client.ip; got != want {
			t.Errorf("endpoint %s: %q, want %q", p.name, got, want)
		}
	}
}

// Run writes at the start and after changes, and recovers from a failed write
// by writing the whole table.
func TestRun(t *testing.T) {
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	nft := &failingNft{Fake: knftables.NewFake(knftables.IPv4Family, DefaultTable), runs: make(chan struct{}, 16)}
	p := &Proxy{
		cfg:     Config{NodeName: "node-a", Services: factory.Core().V1().Services(), EndpointSlices: factory.Discovery().V1().EndpointSlices(), Logger: discard()},
		changes: follow.New(), first: make(chan struct{}),
		tables: []*table{newTable(ipv4, testCIDR, nft)},
	}
	p.services, p.slices = p.cfg.Services.Lister(), p.cfg.EndpointSlices.Lister()
	must(t, p.subscribe())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory.Start(ctx.Done())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	<-p.Synced()
	<-nft.runs

	nft.fail.Store(true)
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.5", Ports: []corev1.ServicePort{{Port: 80}}}}
	_, err := client.CoreV1().Services("default").Create(ctx, svc, metav1.CreateOptions{})
	must(t, err)
	<-nft.runs // fails
	nft.fail.Store(false)
	<-nft.runs // tried again
	cancel()
	must(t, <-done)
	if got := nft.Table.Maps[mapDeadIPs]; got == nil || len(got.Elements) != 1 {
		t.Errorf("after the recovery:\n%s", nft.Dump())
	}
}
