package network

import (
	"bytes"
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

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// machine moves the test into a throw-away namespace that stands for the
// machine's own, so that nothing here touches the real one.
func machine(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if !exists(filepath.Join(DefaultPluginDir, "bridge")) {
		t.Skip("needs the CNI plugins: run `go tool task setup`")
	}
	runtime.LockOSThread()
	home, err := os.Open(threadNetns)
	must(t, err)
	path := newNetns(t, "machine")
	inside, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() {
		must(t, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
		runtime.UnlockOSThread()
		must(t, errors.Join(home.Close(), inside.Close()))
	})
	must(t, unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET))
}

func newNetns(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := createNetns(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deleteNetns(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

func newNetwork(t *testing.T, dir string, index int) *Network {
	t.Helper()
	cidr, _ := NodePodCIDR(DefaultClusterCIDR, index)
	n, err := New(Config{DataDir: dir, PodCIDRs: []netip.Prefix{cidr}})
	must(t, err)
	t.Cleanup(func() { _ = n.Down(context.WithoutCancel(t.Context())) })
	return n
}

// attached is a pod on the network.
type attached struct{ netns, ip string }

func setup(t *testing.T, n *Network, uid string, ports ...corev1.ContainerPort) attached {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: uid}}
	pod.Spec.Containers = []corev1.Container{{Ports: ports}}
	netns := filepath.Join(n.cfg.DataDir, "netns", uid)
	ips, err := n.Setup(t.Context(), uid, netns, pod)
	if err != nil {
		t.Fatal(err)
	}
	if len(ips) != 1 || !NetnsAlive(netns) {
		t.Fatalf("pod %s: addresses %v", uid, ips)
	}
	return attached{netns, ips[0]}
}

// echo answers every connection inside the namespace with its peer's address.
func echo(t *testing.T, netns, addr string) {
	t.Helper()
	err := InNetns(netns, func() error {
		l, err := net.Listen("tcp", addr)
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
				_, _ = fmt.Fprint(conn, conn.RemoteAddr().(*net.TCPAddr).IP)
				_ = conn.Close()
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seenFrom dials from inside the namespace ("" is the current one) and answers which
// source address the other side saw.
func seenFrom(netns, addr string) (string, error) {
	var got string
	err := InNetns(netns, func() error {
		conn, err := net.DialTimeout("tcp4", addr, 3*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		data, err := io.ReadAll(conn)
		got = string(data)
		return err
	})
	return got, err
}

func wantSeen(t *testing.T, netns, addr, want string) {
	t.Helper()
	got, err := seenFrom(netns, addr)
	if err != nil || got != want {
		t.Errorf("from %q to %s: the server saw %q (%v), want %q", netns, addr, got, err, want)
	}
}

func down(t *testing.T, n *Network) {
	t.Helper()
	if err := n.Down(t.Context()); err != nil {
		t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func leases(t *testing.T, n *Network) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(n.ipamDir(), networkName))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries {
		if isLease(e.Name()) {
			count++
		}
	}
	return count
}

// wantBare fails unless the current namespace is as a new one: loopback only.
func wantBare(t *testing.T) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Type() == "bridge" || l.Type() == "veth" {
			t.Errorf("link %s is still there", l.Attrs().Name)
		}
	}
	if out, err := exec.Command("nft", "list", "ruleset").CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("rules are still there: %s (%v)", out, err)
	}
}

// plugOutside connects the current namespace with one that plays the internet.
func plugOutside(t *testing.T, outside string) {
	t.Helper()
	ns, err := os.Open(outside)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "uplink"
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	address := func(name, cidr string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(cidr))}); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	}
	err = errors.Join(address("uplink", "198.51.100.1/24"), InNetns(outside, func() error {
		if err := address("eth0", "198.51.100.2/24"); err != nil {
			return err
		}
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		// The worst neighbour: one that routes our inner addresses to us.
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(DefaultNodeSubnet), Gw: net.IPv4(198, 51, 100, 1)})
	}))
	if err != nil {
		t.Fatal(err)
	}
}
