package network

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestPlanTunnels(t *testing.T) {
	own, others := planTunnels("a", []*corev1.Node{
		testNode("c", "10.200.0.3", "10.244.2.0/24", "fd00:1::/64"),
		testNode("a", "10.200.0.1", "10.244.0.0/24"),
		testNode("b", "10.200.0.2", "10.244.1.7/24"),
		testNode("no-address", "", "10.244.3.0/24"),
		testNode("no-range", "10.200.0.9"),
	})
	got := []string{fmt.Sprint(own.node, own.pods)}
	macs := map[string]bool{own.mac: true}
	for _, o := range others {
		got = append(got, fmt.Sprint(o.node, o.pods))
		macs[o.mac] = true
	}
	want := []string{"10.200.0.1 [10.244.0.0/24]", "10.200.0.2 [10.244.1.0/24]", "10.200.0.3 [10.244.2.0/24 fd00:1::/64]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(macs) != 3 {
		t.Errorf("hardware addresses: %v", macs)
	}
}

// TestOverlayFollowsNodes writes tunnels in a namespace, other ones, and none.
func TestOverlayFollowsNodes(t *testing.T) {
	machine(t)
	must(t, exec.Command("ip", "link", "add", "under", "type", "bridge").Run())
	must(t, exec.Command("ip", "addr", "add", "10.200.0.1/24", "dev", "under").Run())
	must(t, exec.Command("ip", "link", "set", "under", "up").Run())
	own := tunnel{node: netip.MustParseAddr("10.200.0.1"), pods: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")}}
	peer := func(n byte) tunnel {
		node := netip.AddrFrom4([4]byte{10, 200, 0, n})
		return tunnel{node: node, mac: overlayMAC(node).String(), pods: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, n, 0}), 24), netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%d::/64", n))}}
	}
	for _, others := range [][]tunnel{{peer(2), peer(3)}, {peer(2), peer(3)}, {peer(3), peer(4)}, nil} {
		must(t, applyTunnels(own, others))
		var routes, forwards []string
		for _, o := range others {
			for _, p := range o.pods {
				routes = append(routes, fmt.Sprint(p))
			}
			forwards = append(forwards, o.mac+" dst "+o.node.String())
		}
		for _, show := range []struct {
			args []string
			want []string
		}{
			{[]string{"ip", "route", "show", "proto", "112"}, routes},
			{[]string{"ip", "-6", "route", "show", "proto", "112"}, routes},
			{[]string{"bridge", "fdb", "show", "dev", overlayLink}, forwards},
		} {
			out, err := exec.Command(show.args[0], show.args[1:]...).Output()
			must(t, err)
			lines := 0
			for line := range strings.Lines(string(out)) {
				lines++
				known := false
				for _, w := range show.want {
					known = known || strings.Contains(line, w)
				}
				if !known {
					t.Errorf("%v says %q, wanted %v", show.args, line, show.want)
				}
			}
			if lines != len(others) {
				t.Errorf("%v: %d lines, want %d:\n%s", show.args, lines, len(others), out)
			}
		}
	}
	must(t, RemoveRoutes())
	must(t, exec.Command("ip", "link", "del", "under").Run())
	wantBare(t)
}
