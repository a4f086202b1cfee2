package proxy

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/runtime/endpoint"
	"github.com/pintle-io/pintle/runtime/ruleset"
)

var testCIDR = netip.MustParsePrefix("10.244.0.0/16")

// TestBuild reads Services and slices as YAML documents and prints the Ruleset
// of node-a. With -rewrite the expectations are written anew.
func TestBuild(t *testing.T) {
	datadriven.Walk(t, "testdata/build", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			f, cidr := ipv4, testCIDR
			if d.HasArg("ipv6") {
				f, cidr = ipv6, netip.MustParsePrefix("fd00:244::/56")
			}
			services, list := parseObjects(t, d.Input)
			all := newAssembly()
			rules := all.replace(all.changes(snapshot{services, backends(list)}, func(svc *corev1.Service, list []*discoveryv1.EndpointSlice) *part {
				ports := portsOf(place{"node-a", "zone-a"}, f.addressType, svc, list)
				return &part{svc, list, ports, Build(f, cidr, ports)}
			}))
			if out := rules.cur.String(); out != "" {
				return out
			}
			return "nothing\n"
		})
	})
}

func parseObjects(t *testing.T, text string) ([]*corev1.Service, []*discoveryv1.EndpointSlice) {
	t.Helper()
	var services []*corev1.Service
	var list []*discoveryv1.EndpointSlice
	for _, doc := range strings.Split(text, "---\n") {
		var obj struct{ Spec *runtime.RawExtension }
		if err := yaml.Unmarshal([]byte(doc), &obj); err != nil {
			t.Fatal(err)
		}
		var err error
		if obj.Spec != nil {
			var svc corev1.Service
			err = yaml.UnmarshalStrict([]byte(doc), &svc)
			services = append(services, &svc)
		} else {
			var s discoveryv1.EndpointSlice
			err = yaml.UnmarshalStrict([]byte(doc), &s)
			list = append(list, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return services, list
}

// Whatever the changes, writing the differences one after the other ends in the
// same table as writing the last state at once, and nft would accept each step.
func TestDiffConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		write := func(nft *knftables.Fake, first bool, s step) {
			tx := nft.NewTransaction()
			if first {
				baseTable(tx, ipv4, testCIDR)
			}
			ruleset.Diff(tx, s.old, s.cur)
			if err := nft.Run(context.Background(), tx); err != nil {
				rt.Fatalf("%v in\n%s", err, tx)
			}
		}
		incremental, rules := knftables.NewFake(knftables.IPv4Family, "t"), newAssembly()
		for i := range rapid.IntRange(1, 5).Draw(rt, "steps") {
			write(incremental, i == 0, rules.replace(drawParts(rt)))
		}
		fresh, all := knftables.NewFake(knftables.IPv4Family, "t"), newAssembly()
		write(fresh, true, all.replace(rules.parts))
		if d := cmp.Diff(sortedLines(fresh.Dump()), sortedLines(incremental.Dump())); d != "" {
			rt.Fatal(d)
		}
		tx := incremental.NewTransaction()
		if s := rules.replace(rules.parts); ruleset.Diff(tx, s.old, s.cur) || tx.NumOperations() != 0 {
			rt.Fatalf("no change, yet operations: %s", tx)
		}
	})
}

// drawParts are changes of some Services, of which some claim what others have.
func drawParts(rt *rapid.T) map[string]*part {
	out := map[string]*part{}
	for i := range 4 {
		name := "ns/svc" + itoa(int32(i))
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0: // as it was
		case 1:
			out[name] = nil
		default:
			ports := []servicePort{drawPort(rt, i)}
			out[name] = &part{ports: ports, rules: Build(ipv4, testCIDR, ports)}
		}
	}
	return out
}

// sortedLines makes dumps comparable: elements of a map have no order. Rules do,
// but a chain is always rewritten as a whole.
func sortedLines(dump string) []string {
	lines := strings.Split(dump, "\n")
	slices.Sort(lines)
	return lines
}

func drawPort(rt *rapid.T, i int) servicePort {
	p := servicePort{
		namespace: "ns", name: "svc" + itoa(int32(i)), port: "p",
		protocol:      rapid.SampledFrom([]string{"tcp", "udp"}).Draw(rt, "protocol"),
		number:        80,
		nodePort:      rapid.SampledFrom([]uint16{0, uint16(30000 + i)}).Draw(rt, "nodePort"),
		clusterIP:     netip.AddrFrom4([4]byte{10, 96, 0, byte(1 + i)}),
		internalLocal: rapid.Bool().Draw(rt, "internalLocal"),
		externalLocal: rapid.Bool().Draw(rt, "externalLocal"),
	}
	if rapid.Bool().Draw(rt, "external") {
		p.externalIPs = []netip.Addr{netip.MustParseAddr("192.0.2.1")} // others may want it too
	}
	if rapid.Bool().Draw(rt, "sticky") {
		p.affinity = affinityTimeout(nil)
	}
	for j := range rapid.IntRange(0, 3).Draw(rt, "endpoints") {
		pod := rapid.SampledFrom([]byte{byte(i), 100}).Draw(rt, "pod") // its own, or one of several Services
		ep := endpoint.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, pod, byte(j)}), 8080), Local: j == 0}
		p.cluster = append(p.cluster, ep)
		if ep.Local && rapid.Bool().Draw(rt, "local") {
			p.local = append(p.local, ep)
		}
	}
	return p
}

func TestStaleFlows(t *testing.T) {
	addr := netip.MustParseAddrPort
	port := func(proto string, eps ...string) servicePort {
		p := servicePort{name: "dns", protocol: proto, number: 53, clusterIP: netip.MustParseAddr("10.96.0.10"), nodePort: 30053}
		for _, ep := range eps {
			p.cluster = append(p.cluster, endpoint.Endpoint{Addr: addr(ep)})
		}
		return p
	}
	front := addr("10.96.0.10:53")
	for name, tc := range map[string]struct {
		old, cur []servicePort
		stale    bool
		keep     int
	}{
		"unchanged":        {[]servicePort{port("udp", "10.244.0.2:53")}, []servicePort{port("udp", "10.244.0.2:53")}, false, 0},
		"tcp":              {[]servicePort{port("tcp", "10.244.0.2:53")}, nil, false, 0},
		"gone":             {[]servicePort{port("udp", "10.244.0.2:53")}, nil, true, 0},
		"first endpoint":   {[]servicePort{port("udp")}, []servicePort{port("udp", "10.244.0.2:53")}, true, 1},
		"endpoint removed": {[]servicePort{port("udp", "10.244.0.2:53", "10.244.0.3:53")}, []servicePort{port("udp", "10.244.0.3:53")}, true, 1},
		"new service":      {nil, []servicePort{port("udp", "10.244.0.3:53")}, true, 1},
	} {
		got := staleFlows(tc.old, tc.cur)
		keep, stale := got.fronts[front]
		if stale != tc.stale || len(keep) != tc.keep || len(got.nodePorts) != len(got.fronts) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
