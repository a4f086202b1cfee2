package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testNode(name, ip string, cidrs ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Spec.PodCIDRs = cidrs
	if ip != "" {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: ip}}
	}
	return n
}

func TestPlanRoutes(t *testing.T) {
	dual := testNode("dual", "10.200.0.5", "10.244.4.0/24", "fd00:2::/64")
	dual.Status.Addresses = append(dual.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "fd00::5"})
	nodes := []*corev1.Node{
		testNode("c", "10.200.0.3", "10.244.2.0/24", "fd00:1::/64"),
		testNode("a", "10.200.0.1", "10.244.0.0/24"),
		testNode("b", "10.200.0.2", "10.244.1.0/24"),
		testNode("no-address", "", "10.244.3.0/24"),
		testNode("no-range", "10.200.0.9"),
		dual, testNode("nonsense", "10.200.0.8", "10.244.999.0/24"),
	}
	var got []string
	for _, r := range PlanRoutes("a", nodes) {
		got = append(got, r.Dst.String()+" via "+r.Via.String())
	}
	want := []string{"10.244.1.0/24 via 10.200.0.2", "10.244.2.0/24 via 10.200.0.3", "10.244.4.0/24 via 10.200.0.5", "fd00:2::/64 via fd00::5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNodePodCIDR(t *testing.T) {
	for _, tc := range []struct {
		cluster string
		index   int
		want    string
	}{
		{"10.244.0.0/16", 0, "10.244.0.0/24"},
		{"10.244.0.0/16", 255, "10.244.255.0/24"},
		{"10.244.0.0/16", 256, ""},
		{"10.0.0.0/8", 300, "10.1.44.0/24"},
		{"10.244.7.0/24", 0, "10.244.7.0/24"},
		{"10.244.7.0/25", 0, ""},
		{"10.244.0.0/16", -1, ""},
	} {
		got, ok := NodePodCIDR(netip.MustParsePrefix(tc.cluster), tc.index)
		if ok != (tc.want != "") || ok && got.String() != tc.want {
			t.Errorf("share %d of %s: %s %v, want %q", tc.index, tc.cluster, got, ok, tc.want)
		}
	}
}

func TestValidate(t *testing.T) {
	base := Config{DataDir: "/data", PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.1.0/24")}}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"fine":           {func(*Config) {}, ""},
		"relative data":  {func(c *Config) { c.DataDir = "data" }, "absolute"},
		"long bridge":    {func(c *Config) { c.Bridge = "a-name-of-16-chr" }, "15"},
		"outside":        {func(c *Config) { c.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")} }, "not inside"},
		"too wide":       {func(c *Config) { c.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "not inside"},
		"too small":      {func(c *Config) { c.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("10.244.1.0/30")} }, "too small"},
		"other protocol": {func(c *Config) { c.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("fd00::/64")} }, "IPv4"},
		"two families":   {func(c *Config) { c.PodCIDRs = append(c.PodCIDRs[:1:1], netip.MustParsePrefix("fd00:10:244:1::/64")) }, ""},
		"twice IPv4":     {func(c *Config) { c.PodCIDRs = append(c.PodCIDRs[:1:1], c.PodCIDRs[0]) }, "not inside"},
	} {
		cfg := base
		tc.change(&cfg)
		err := cfg.withDefaults().Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestForwardElements(t *testing.T) {
	rec := func(ip string, ports ...HostPort) []forward {
		return hostForwards(ipv4, record{IPs: []netip.Addr{netip.MustParseAddr(ip)}, Ports: ports})
	}
	var all []forward
	all = append(all, rec("10.244.0.9", HostPort{HostPort: 80, ContainerPort: 8080, Protocol: "TCP"})...)
	all = append(all, rec("10.244.0.2",
		HostPort{HostPort: 80, ContainerPort: 8080, Protocol: "TCP"}, // claimed twice: this one wins
		HostPort{HostPort: 53, ContainerPort: 53, Protocol: "UDP", HostIP: "10.200.0.1"},
		HostPort{HostPort: 54, ContainerPort: 54, HostIP: "0.0.0.0"},
		HostPort{ContainerPort: 99})...)
	var got []string
	for _, e := range forwardElements(all) {
		got = append(got, strings.TrimSpace(e.Map+e.Set+" "+strings.Join(e.Key, " . ")+" : "+strings.Join(e.Value, " . ")))
	}
	six := record{IPs: []netip.Addr{netip.MustParseAddr("10.244.0.9"), netip.MustParseAddr("fd00::9")}, Ports: []HostPort{
		{HostPort: 80, ContainerPort: 8080}, {HostPort: 81, ContainerPort: 81, HostIP: "10.200.0.1"}, {HostPort: 82, ContainerPort: 82, HostIP: "fd00:10:200::1"}}}
	if got := hostForwards(ipv6, six); len(got) != 2 || got[0].pod != six.IPs[1] || got[0].hostIP != "" || got[1].hostIP != "fd00:10:200::1" {
		t.Errorf("host ports of IPv6: %+v", got)
	}
	want := []string{
		"hostports-by-ip 10.200.0.1 . udp . 53 : 10.244.0.2 . 53",
		"hairpin 10.244.0.2 . 10.244.0.2 :",
		"hostports tcp . 54 : 10.244.0.2 . 54",
		"hostports tcp . 80 : 10.244.0.2 . 8080",
		"hairpin 10.244.0.9 . 10.244.0.9 :",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJoinPrefixes(t *testing.T) {
	p := netip.MustParsePrefix
	got := joinPrefixes([]netip.Prefix{p("10.244.0.0/16"), p("10.200.0.0/24"), p("10.244.3.0/24"), p("10.244.0.0/16")})
	if want := "10.200.0.0/24, 10.244.0.0/16"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
