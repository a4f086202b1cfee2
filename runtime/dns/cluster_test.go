package dns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/pintle-io/pintle/runtime/network"
	"github.com/pintle-io/pintle/runtime/proxy"
)

// nodeEnv makes the test binary a node's process: routes and Service rules.
const nodeEnv = "PINTLE_TEST_NODE"

func TestMain(m *testing.M) {
	if name := os.Getenv(nodeEnv); name != "" {
		if err := runNode(name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// twoNodes are the objects of the test's cluster: a Service with its endpoint on
// node-0, one with a node port and its endpoint on node-1, the nodes, and what
// Publish makes.
func twoNodes() []runtime.Object {
	kubeDNS := desiredService(netip.MustParseAddr("10.96.0.10"))
	dnsSlice := desiredSlice([]netip.AddrPort{netip.MustParseAddrPort("10.200.0.1:10053")})
	hello := slice("hello", "", 8080, endpoint("10.244.0.2", "", true))
	back := slice("back", "", 8080, endpoint("10.244.1.2", "", true))
	backService := service("back", "10.96.0.81", corev1.ServicePort{Port: 80, NodePort: 30081})
	backService.Spec.Type = corev1.ServiceTypeNodePort
	return []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		service("hello", "10.96.0.80", corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP}), hello, backService, back,
		kubeDNS, dnsSlice,
		testNode("node-0", "10.200.0.1", "10.244.0.0/24"), testNode("node-1", "10.200.0.2", "10.244.1.0/24"),
	}
}

func testNode(name, ip, cidr string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}
	return n
}

// runNode is the child: it says "ready" once the rules are written.
func runNode(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(twoNodes()...), 0)
	routes, err := network.NewRouteController(name, factory.Core().V1().Nodes(), false, nil)
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Config{
		NodeName: name, ClusterCIDRs: []netip.Prefix{network.DefaultClusterCIDR},
		Services: factory.Core().V1().Services(), EndpointSlices: factory.Discovery().V1().EndpointSlices(),
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return routes.Run(ctx) })
	g.Go(func() error { return p.Run(ctx) })
	g.Go(func() error {
		<-p.Synced()
		fmt.Println("ready")
		return nil
	})
	return g.Wait()
}

// startNode starts such a child in the node's namespace and waits for it.
func startNode(t *testing.T, name, netns string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), nodeEnv+"="+name)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, network.StartIn(netns, cmd))
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		must(t, cmd.Wait())
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("node %s: %q, %v", name, line, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A pod on one node asks the cluster's DNS for a Service whose pod is on the
// other, and reaches it: everything of the network at once.
func TestAcrossNodes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("/usr/lib/cni/bridge"); err != nil {
		t.Skip("needs the CNI plugins: run `go tool task setup`")
	}
	goruntime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	t.Cleanup(func() {
		must(t, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
		goruntime.UnlockOSThread()
		must(t, home.Close())
	})
	must(t, exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").Run())

	top := network.NewTopology(network.TopologyConfig{DataDir: filepath.Join(t.TempDir(), "nodes")})
	// As the API server and DNS do at the start: listen before there is a bridge.
	udp, err := network.ListenPacketFree(t.Context(), "10.200.0.1:10053")
	must(t, err)
	tcp, err := network.ListenFree(t.Context(), "10.200.0.1:10053")
	must(t, err)
	runDNS(t, udp, tcp)
	must(t, top.Up(t.Context()))
	t.Cleanup(func() { must(t, top.Down(context.WithoutCancel(t.Context()))) })

	var pods [2]string // their namespaces
	for i := range pods {
		place, err := top.CreateNode(t.Context(), fmt.Sprintf("node-%d", i), i)
		must(t, err)
		pods[i] = filepath.Join(t.TempDir(), "pod")
		must(t, network.InNetns(place.NetnsPath, func() error { return addPod(t, i, place, pods[i]) }))
		startNode(t, place.Name, place.NetnsPath)
	}
	for _, netns := range pods {
		must(t, network.InNetns(netns, func() error { return serveHello(t) }))
	}
	// To node-0 and back again: in and out of one port of the node bridge.
	must(t, network.InNetns(pods[1], func() error { return dialHello("10.200.0.1:30081") }))
	for i, netns := range append(pods[:], "") {
		must(t, network.InNetns(netns, func() error {
			ip, err := lookup("10.96.0.10:53", "hello.default.svc.cluster.local.")
			if err != nil {
				return fmt.Errorf("place %d: %w", i, err)
			}
			if err := dialHello(net.JoinHostPort(ip, "80")); err != nil {
				return fmt.Errorf("place %d: %w", i, err)
			}
			return nil
		}))
	}
}

func dialHello(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err == nil && !strings.HasPrefix(string(said), "hello") {
		err = fmt.Errorf("%s said %q", addr, said)
	}
	return err
}

// runDNS serves over the two-node cluster until the test ends.
func runDNS(t *testing.T, udp net.PacketConn, tcp net.Listener) {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(twoNodes()...), 0)
	s, err := New(Config{
		ServiceIP: netip.MustParseAddr("10.96.0.10"), ResolvConf: "/nowhere/resolv.conf",
		Namespaces: factory.Core().V1().Namespaces(), Services: factory.Core().V1().Services(),
		EndpointSlices: factory.Discovery().V1().EndpointSlices(),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
		factory.Shutdown()
	})
}

// addPod runs inside the node's namespace.
func addPod(t *testing.T, index int, place network.NodePlace, netns string) error {
	cidr, _ := network.NodePodCIDR(network.DefaultClusterCIDR, index)
	n, err := network.New(network.Config{DataDir: filepath.Join(t.TempDir(), place.Name), PodCIDRs: []netip.Prefix{cidr}})
	if err != nil {
		return err
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		must(t, network.InNetns(place.NetnsPath, func() error { return n.Down(ctx) }))
	})
	ips, err := n.Setup(t.Context(), place.Name+"-pod", netns, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"}})
	if err == nil && ips[0] != nthPod(index) {
		err = fmt.Errorf("the pod of %s got %v", place.Name, ips)
	}
	return err
}

func nthPod(index int) string { return fmt.Sprintf("10.244.%d.2", index) }

func serveHello(t *testing.T) error {
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "hello %s", conn.RemoteAddr())
			_ = conn.Close()
		}
	}()
	return nil
}

// lookup asks over UDP and TCP; both must say the same.
func lookup(server, name string) (string, error) {
	var got [2]string
	for i, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: 5 * time.Second}
		out, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server)
		if err != nil {
			return "", fmt.Errorf("ask %s over %s: %w", name, network, err)
		}
		if len(out.Answer) != 1 {
			return "", fmt.Errorf("ask %s over %s: %v", name, network, out)
		}
		got[i] = out.Answer[0].(*dns.A).A.String()
	}
	if got[0] != got[1] {
		return "", errors.New("UDP and TCP answer differently")
	}
	return got[0], nil
}
