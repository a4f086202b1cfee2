package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// The pods, by name: a and b in x, c in other; all on node n.
var addresses = map[string]string{"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}

func input(t *testing.T, specs ...string) Input {
	t.Helper()
	in := Input{Node: "n"}
	for name, ip := range addresses {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "x", Labels: map[string]string{"app": name}}}
		if name == "c" {
			p.Namespace = "other"
		}
		p.Spec.NodeName = "n"
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}}}
		p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
		in.Pods = append(in.Pods, p)
	}
	for _, name := range []string{"x", "other"} {
		in.Namespaces = append(in.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}})
	}
	for i, spec := range specs {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Namespace: "x"}}
		if err := yaml.UnmarshalStrict([]byte(spec), &np.Spec); err != nil {
			t.Fatal(err)
		}
		in.Policies = append(in.Policies, np)
	}
	return in
}

// packet is the first of a connection.
type packet struct {
	from, to string
	port     int
}

// passes plays the rules as the kernel does. It knows the matches that Plan writes
// and no others.
func passes(t interface{ Fatalf(string, ...any) }, r Rules, p packet) bool {
	sets, chains := map[string][]string{}, map[string][]string{}
	for _, s := range r.Sets {
		sets[s.Name] = s.Elements
	}
	for _, c := range r.Chains {
		chains[c.Name] = c.Rules
	}
	var run func(chain string) string
	ingress := func() string {
		if c, ok := r.Ingress[p.to]; ok {
			return run(c)
		}
		return "accept"
	}
	run = func(chain string) string {
		for _, rule := range chains[chain] {
			f := strings.Fields(rule)
			matched := true
			for matched && len(f) > 0 {
				n := 0
				matched, n = match(t, f, p, sets)
				if n == 0 {
					break
				}
				f = f[n:]
			}
			if !matched {
				continue
			}
			switch {
			case f[0] == "accept" || f[0] == "drop":
				return f[0]
			case f[0] == "goto" && f[1] == "ingress":
				return ingress()
			case f[0] == "jump":
				if v := run(f[1]); v != "" {
					return v
				}
			default:
				t.Fatalf("unknown rule %q", rule)
			}
		}
		return ""
	}
	if c, ok := r.Egress[p.from]; ok {
		return run(c) == "accept"
	}
	return ingress() == "accept"
}

// match tries one match at the start of a rule and says how many words it has.
func match(t interface{ Fatalf(string, ...any) }, f []string, p packet, sets map[string][]string) (bool, int) {
	text := strings.Join(f, " ")
	switch {
	case strings.HasPrefix(text, "ip daddr . meta l4proto . th dport @"):
		key := fmt.Sprintf("%s . tcp . %d", p.to, p.port)
		return slices.Contains(sets[strings.TrimPrefix(f[8], "@")], key), 9
	case f[0] == "meta" && f[1] == "l4proto":
		return f[2] == "tcp", 3
	case f[0] == "th" && f[1] == "dport":
		low, high, ranged := strings.Cut(f[2], "-")
		if !ranged {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil {
			t.Fatalf("ports %q", f[2])
		}
		return a <= p.port && p.port <= b, 3
	case f[0] == "ip":
		ip := map[string]string{"saddr": p.from, "daddr": p.to}[f[1]]
		not, n := f[2] == "!=", 3
		what := f[2]
		if not {
			what, n = f[3], 4
		}
		return covers(sets, what, ip) != not, n
	}
	return true, 0
}

func covers(sets map[string][]string, what, ip string) bool {
	if name, ok := strings.CutPrefix(what, "@"); ok {
		return slices.Contains(sets[name], ip)
	}
	if prefix, err := netip.ParsePrefix(what); err == nil {
		return prefix.Contains(netip.MustParseAddr(ip))
	}
	return what == ip
}

func TestPlan(t *testing.T) {
	const outside = "192.0.2.9"
	for _, tt := range []struct {
		name  string
		specs []string
		// allowed and refused list "from>to:port"; o is outside.
		allowed, refused string
	}{
		{"no policy", nil, "b>a:80 o>a:80 a>o:80", ""},
		{"default deny in", []string{"{podSelector: {}, policyTypes: [Ingress]}"}, "a>o:80 a>c:80 a>a:80", "b>a:80 o>a:80 c>b:1"},
		{"default deny out", []string{"{podSelector: {}, policyTypes: [Egress]}"}, "c>a:80 o>a:80 a>a:80", "a>b:80 a>o:80 a>c:80"},
		{"allow all in", []string{"{podSelector: {}, policyTypes: [Ingress]}", "{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}"}, "b>a:80 o>a:80", ""},
		{"pods of the namespace", []string{"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}"}, "b>a:80 c>b:80", "c>a:80 o>a:80"},
		{"a namespace", []string{"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {name: other}}}]}]}"}, "c>a:80", "b>a:80 o>a:80"},
		{"pods of namespaces", []string{"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: c}}}]}]}"}, "c>a:80", "b>a:80"},
		{"ports", []string{"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}, {port: 100, endPort: 110}, {port: web}]}]}"}, "b>a:80 o>a:105 c>a:8080", "b>a:81 b>a:99 b>a:111"},
		{"udp", []string{"{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{protocol: UDP}]}]}"}, "", "b>a:80"},
		{"ranges", []string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.0/24]}}]}]}"}, "a>b:80 a>c:80", "a>o:80"},
		{"policies add up", []string{
			"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80}]}]}",
			"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 81}]}]}",
		}, "b>a:80 o>a:81", "b>a:81 o>a:80"},
		{"both directions", []string{
			"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}",
			"{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}",
		}, "", "b>a:80 b>c:80 b>o:80"},
		{"named ports out", []string{"{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}]}"}, "a>b:8080 a>c:8080", "a>b:80 a>o:8080"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Plan(input(t, tt.specs...))
			for list, want := range map[string]bool{tt.allowed: true, tt.refused: false} {
				for _, text := range strings.Fields(list) {
					from, rest, _ := strings.Cut(text, ">")
					to, port, _ := strings.Cut(rest, ":")
					ip := func(name string) string {
						if name == "o" {
							return outside
						}
						return addresses[name]
					}
					n, err := strconv.Atoi(port)
					if err != nil {
						t.Fatal(err)
					}
					if got := passes(t, r, packet{ip(from), ip(to), n}); got != want {
						t.Errorf("%s passes: %t; rules %+v", text, got, r)
					}
				}
			}
		})
	}
}

// Orders of objects do not matter, and what has nothing to do with this node makes no rule.
func TestPlanIsStable(t *testing.T) {
	in := input(t,
		"{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}]}",
		"{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: web}]}]}")
	want := fmt.Sprint(Plan(in))
	rapid.Check(t, func(t *rapid.T) {
		mixed := in
		mixed.Pods = rapid.Permutation(in.Pods).Draw(t, "pods")
		mixed.Policies = rapid.Permutation(in.Policies).Draw(t, "policies")
		if got := fmt.Sprint(Plan(mixed)); got != want {
			t.Fatalf("another order, other rules:\n%s\n%s", want, got)
		}
	})
	in.Node = "other"
	if r := Plan(in); len(r.Chains)+len(r.Sets)+len(r.Ingress)+len(r.Egress) > 0 {
		t.Errorf("rules for a node without pods: %+v", r)
	}
}
