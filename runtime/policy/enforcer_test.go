package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"
)

// countingNft is the library's fake; it counts operations and can fail.
type countingNft struct {
	*knftables.Fake
	operations int
	fail       error
}

func (n *countingNft) Run(ctx context.Context, tx *knftables.Transaction) error {
	n.operations = tx.NumOperations()
	if n.fail != nil {
		return n.fail
	}
	return n.Fake.Run(ctx, tx)
}

func newTable() (*family, *countingNft) {
	nft := &countingNft{Fake: knftables.NewFake(knftables.IPv4Family, Table)}
	return &family{nft: nft}, nft
}

func dump(nft *countingNft) []string {
	lines := strings.Split(nft.Dump(), "\n")
	slices.Sort(lines)
	return lines
}

var specs = []string{
	"{podSelector: {}, policyTypes: [Ingress]}",
	"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: web}]}]}",
	"{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress, Egress], egress: [{to: [{namespaceSelector: {}}]}]}",
	"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}]}]}",
}

// TestWritesConverge: whatever policies and pods come and go, also past failures, the
// table is what it would be if it were written at once.
func TestWritesConverge(t *testing.T) {
	all := input(t, specs...)
	rapid.Check(t, func(rt *rapid.T) {
		f, nft := newTable()
		var in Input
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			in = all
			in.Policies, in.Pods = nil, nil
			for _, np := range all.Policies {
				if rapid.Bool().Draw(rt, "policy") {
					in.Policies = append(in.Policies, np)
				}
			}
			for _, p := range all.Pods {
				if rapid.Bool().Draw(rt, "pod") {
					in.Pods = append(in.Pods, p)
				}
			}
			nft.fail = nil
			if rapid.IntRange(0, 4).Draw(rt, "fails") == 0 {
				nft.fail = errors.New("no room")
			}
			if err := f.write(context.Background(), Plan(in).table()); err != nil && nft.fail == nil {
				rt.Fatal(err)
			}
		}
		nft.fail = nil
		if err := f.write(context.Background(), Plan(in).table()); err != nil {
			rt.Fatal(err)
		}
		fresh, want := newTable()
		if err := fresh.write(context.Background(), Plan(in).table()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(dump(want), dump(nft)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// TestChangeWritesLittle: one policy's change does not write those of others.
func TestChangeWritesLittle(t *testing.T) {
	in := input(t, specs...)
	for i := range 100 {
		np := in.Policies[1].DeepCopy()
		np.Name = fmt.Sprint("more-", i)
		in.Policies = append(in.Policies, np)
	}
	f, nft := newTable()
	if err := f.write(t.Context(), Plan(in).table()); err != nil {
		t.Fatal(err)
	}
	first := nft.operations
	port := networkingv1.NetworkPolicyPort{}
	in.Policies[50] = in.Policies[50].DeepCopy()
	in.Policies[50].Spec.Ingress[0].Ports = append(in.Policies[50].Spec.Ingress[0].Ports, port)
	if err := f.write(t.Context(), Plan(in).table()); err != nil {
		t.Fatal(err)
	}
	if nft.operations > 6 {
		t.Errorf("%d operations for one changed policy (%d for all)", nft.operations, first)
	}
	nft.operations = 0
	if err := f.write(t.Context(), Plan(in).table()); err != nil || nft.operations != 0 {
		t.Errorf("%v, %d operations for no change", err, nft.operations)
	}
}
