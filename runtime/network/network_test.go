package network

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

func TestPodsReachEachOther(t *testing.T) {
	machine(t)
	n := newNetwork(t, filepath.Join(t.TempDir(), "node"), 0)
	defer down(t, n)
	a := setup(t, n, "uid-a")
	b := setup(t, n, "uid-b", corev1.ContainerPort{HostPort: 8080, ContainerPort: 80, Protocol: corev1.ProtocolTCP})
	echo(t, b.netns, ":80")
	const gateway = "10.244.0.1"
	wantSeen(t, a.netns, b.ip+":80", a.ip)
	wantSeen(t, "", b.ip+":80", gateway)
	wantSeen(t, "", "127.0.0.1:8080", gateway)
	wantSeen(t, a.netns, gateway+":8080", a.ip)
	wantSeen(t, b.netns, gateway+":8080", gateway) // to itself: masqueraded

	if again := setup(t, n, "uid-a"); again != a {
		t.Errorf("set up twice: %v, then %v", a, again)
	}
	if err := n.Teardown(t.Context(), "uid-b", b.netns, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := seenFrom("", "127.0.0.1:8080"); err == nil {
		t.Errorf("the host port outlives its pod (%s)", got)
	}
}

func TestSetupWaitsForThePodRange(t *testing.T) {
	n, err := New(Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Setup(t.Context(), "v", "", &corev1.Pod{}); !errors.Is(err, ErrNoPodCIDR) {
		t.Errorf("without a pod range: %v", err)
	}
}

// A restarted process finds its pods; after a reboot (the namespaces are gone,
// the files are not) it sets them up afresh and leaks no address.
func TestRestartAndReboot(t *testing.T) {
	machine(t)
	dir := filepath.Join(t.TempDir(), "node")
	first := setup(t, newNetwork(t, dir, 0), "uid-a")

	n := newNetwork(t, dir, 0)
	if ips, ok := n.Status("uid-a"); !ok || ips[0] != first.ip {
		t.Errorf("after a restart: %v, %v", ips, ok)
	}
	if err := deleteNetns(first.netns); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first.netns, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	n = newNetwork(t, dir, 0)
	defer down(t, n)
	if _, ok := n.Status("uid-a"); ok {
		t.Error("after a reboot the pod still claims its network")
	}
	setup(t, n, "uid-a")
	if got := leases(t, n); got != 1 {
		t.Errorf("%d address leases for one pod", got)
	}
}

func TestSweepAndDownLeaveNothing(t *testing.T) {
	machine(t)
	dir := filepath.Join(t.TempDir(), "node")
	n := newNetwork(t, dir, 0)
	for _, uid := range []string{"uid-a", "uid-b", "uid-c"} {
		setup(t, n, uid)
	}
	// What a crash in the middle of Setup leaves: a record, a namespace, a lease.
	crashed := filepath.Join(dir, "netns", "uid-crashed")
	if err := saveRecord(n.recordDir(), "uid-crashed", record{NetnsPath: crashed}); err != nil {
		t.Fatal(err)
	}
	if err := createNetns(crashed); err != nil {
		t.Fatal(err)
	}
	lease := filepath.Join(n.ipamDir(), networkName, "10.244.0.99")
	if err := os.WriteFile(lease, []byte("uid-crashed\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	n = newNetwork(t, dir, 0)
	if err := n.Sweep(t.Context(), map[string]bool{"uid-b": true}); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.Status("uid-b"); !ok || leases(t, n) != 1 {
		t.Errorf("after the sweep: live pod kept: %v, %d leases", ok, leases(t, n))
	}
	if NetnsAlive(crashed) || exists(lease) {
		t.Error("the crashed pod's namespace or lease is still there")
	}
	setup(t, n, "uid-d") // so that Down has a bridge to remove
	down(t, n)
	wantBare(t)
	if exists(dir) {
		t.Error("the data folder is still there")
	}
}

// Two nodes on one machine, each with pods: everything reaches everything, pods
// keep their own addresses inside the cluster and lose them on the way out.
func TestNodesOfOneMachine(t *testing.T) {
	machine(t)
	outside := newNetns(t, "outside")
	plugOutside(t, outside)
	top := NewTopology(TopologyConfig{DataDir: filepath.Join(t.TempDir(), "nodes")})
	must(t, top.Up(t.Context()))
	place, err := top.CreateNode(t.Context(), "node-1", 1)
	must(t, err)
	if again, err := top.CreateNode(t.Context(), "node-1", 1); err != nil || again != place {
		t.Errorf("created again: %+v, %v", again, err)
	}
	n0 := newNetwork(t, filepath.Join(t.TempDir(), "n0"), 0)
	n1 := newNetwork(t, filepath.Join(t.TempDir(), "n1"), 1)
	pod0 := setup(t, n0, "pod-0")
	var pod1 attached
	must(t, InNetns(place.NetnsPath, func() error {
		pod1 = setup(t, n1, "pod-1")
		return applyRoutes([]Route{{Dst: netip.MustParsePrefix("10.244.0.0/24"), Via: top.Gateway()}})
	}))
	must(t, applyRoutes([]Route{{Dst: netip.MustParsePrefix("10.244.1.0/24"), Via: place.IP}}))
	for _, netns := range []string{pod0.netns, pod1.netns, outside} {
		echo(t, netns, ":80")
	}
	echo(t, "", top.Gateway().String()+":6443")
	wantSeen(t, pod0.netns, pod1.ip+":80", pod0.ip)
	wantSeen(t, pod1.netns, pod0.ip+":80", pod1.ip)
	wantSeen(t, pod1.netns, "10.200.0.1:6443", pod1.ip)
	wantSeen(t, place.NetnsPath, "10.200.0.1:6443", place.IP.String())
	wantSeen(t, pod0.netns, "198.51.100.2:80", "198.51.100.1")
	wantSeen(t, pod1.netns, "198.51.100.2:80", "198.51.100.1")
	if got, err := seenFrom(outside, "10.200.0.1:6443"); err == nil {
		t.Errorf("the gateway address answers outsiders (%s)", got)
	}
	must(t, InNetns(place.NetnsPath, func() error { return n1.Down(t.Context()) }))
	down(t, n0)
	must(t, errors.Join(RemoveRoutes(), top.Down(t.Context())))
	link, err := netlink.LinkByName("uplink")
	must(t, err)
	must(t, netlink.LinkDel(link))
	wantBare(t)
}

// A machine whose firewall drops what is forwarded, as Docker's does: pods work,
// and nothing of ours stays in its chain.
func TestPassesAFirewall(t *testing.T) {
	machine(t)
	iptables := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "iptables", args...).CombinedOutput()
		if err != nil {
			t.Skipf("needs iptables: %v: %s", err, out)
		}
		return string(out)
	}
	iptables("-P", "FORWARD", "DROP")
	before := iptables("-S")
	n := newNetwork(t, filepath.Join(t.TempDir(), "node"), 0)
	a, b := setup(t, n, "uid-a"), setup(t, n, "uid-b")
	echo(t, b.netns, ":80")
	wantSeen(t, a.netns, b.ip+":80", a.ip)
	down(t, n)
	if after := iptables("-S"); after != before {
		t.Errorf("the firewall after the end:\n%s\nbefore:\n%s", after, before)
	}
}

func TestStartIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ns := newNetns(t, "ns")
	cmd := exec.CommandContext(t.Context(), "readlink", "/proc/self/ns/net")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := StartIn(ns, cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.TrimSpace(out.Bytes())); got == own || got == "" {
		t.Errorf("the child runs in %q, this process in %q", got, own)
	}
}

func TestMergeListenersAndForward(t *testing.T) {
	listen := func() net.Listener {
		l, err := ListenFree(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := listen(), listen()
	server := MergeListeners(a, b)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	front := listen()
	ctx, cancel := context.WithCancel(t.Context())
	forwarded := make(chan error, 1)
	go func() { forwarded <- Forward(ctx, front, b.Addr().String()) }()
	for _, addr := range []net.Addr{a.Addr(), b.Addr(), front.Addr()} {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("hello"))
		_ = conn.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "hello" {
			t.Errorf("through %s: %q, %v", addr, got, err)
		}
	}
	cancel()
	if err := <-forwarded; err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-served
}
