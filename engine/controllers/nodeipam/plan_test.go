package nodeipam

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/reconcile"
)

func node(name string, age time.Duration, cidrs ...string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))},
		Spec:       corev1.NodeSpec{PodCIDRs: cidrs},
	}
}

// given maps node names to the share that the plan gives them, "" for an event.
func given(r reconcile.Result) map[string]string {
	out := map[string]string{}
	for _, a := range r.Actions {
		switch a := a.(type) {
		case reconcile.Update:
			n := a.Object.(*corev1.Node)
			out[n.Name] = n.Spec.PodCIDR
		case reconcile.Event:
			out[a.About.(*corev1.Node).Name] = ""
		}
	}
	return out
}

func TestOldestNodesGetTheLowestFreeShares(t *testing.T) {
	fake := node("fake", 0)
	fake.Labels = map[string]string{FakeLabel: "true"}
	got := given(Plan(Observed{ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/22")}, Nodes: []*corev1.Node{
		node("c", 1*time.Hour), node("b", 2*time.Hour), node("has", 0, "10.244.1.0/24"), node("a", 1*time.Hour), fake, node("late", 0),
	}}))
	want := map[string]string{"b": "10.244.0.0/24", "a": "10.244.2.0/24", "c": "10.244.3.0/24", "late": ""}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNoShareIsGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cluster := netip.MustParsePrefix("255.255.240.0/20")
		var nodes []*corev1.Node
		for i := range rapid.IntRange(0, 20).Draw(t, "nodes") {
			n := node(fmt.Sprintf("n%d", i), 0)
			if rapid.Bool().Draw(t, "assigned") {
				n.Spec.PodCIDRs = []string{fmt.Sprintf("255.255.%d.0/24", 240+i%16)}
			}
			nodes = append(nodes, n)
		}
		taken := map[string]bool{}
		for _, n := range nodes {
			for _, c := range n.Spec.PodCIDRs {
				taken[c] = true
			}
		}
		refused := 0
		for name, share := range given(Plan(Observed{Nodes: nodes, ClusterCIDRs: []netip.Prefix{cluster}})) {
			if share == "" {
				refused++
				continue
			}
			if taken[share] || !cluster.Overlaps(netip.MustParsePrefix(share)) {
				t.Fatalf("%s got %s, taken or outside", name, share)
			}
			taken[share] = true
		}
		if free := 16 - len(taken); refused > 0 && free > 0 {
			t.Fatalf("%d nodes got nothing though %d shares are free", refused, free)
		}
	})
}

func TestAShareOfEachFamily(t *testing.T) {
	o := Observed{
		ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:10:244::/63")},
		Nodes:        []*corev1.Node{node("a", 3), node("b", 2), node("c", 1), node("has", 9, "10.244.0.0/24", "fd00:10:244::/64")},
	}
	r := Plan(o)
	if got := r.Actions[0].(reconcile.Update).Object.(*corev1.Node).Spec.PodCIDRs; fmt.Sprint(got) != "[10.244.1.0/24 fd00:10:244:1::/64]" {
		t.Errorf("a has %v", got)
	}
	if _, refused := r.Actions[1].(reconcile.Event); !refused || len(r.Actions) != 3 {
		t.Errorf("b and c: %+v, want nothing, since the second range has no share left", r.Actions[1:])
	}
}
