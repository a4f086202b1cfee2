package policy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"

	"github.com/pintle-io/pintle/runtime/follow"
	"github.com/pintle-io/pintle/runtime/ruleset"
)

// Table is the name of the nftables table.
const Table = "pintle-policy"

// Enforcer keeps the policies of one node in force, in the network namespace of its
// process.
type Enforcer struct {
	node       string
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	policies   networkinglisters.NetworkPolicyLister
	changes    *follow.Follower
	families   []family
	logger     *slog.Logger
}

// family is one family's table and what was last written to it.
type family struct {
	ipv6 bool
	nft  knftables.Interface
	// written is nil while nothing is known of the table; an empty one is not there.
	written *ruleset.Ruleset
}

// New registers with the informers, which its caller starts.
func New(node string, factory informers.SharedInformerFactory, ipv6 bool, logger *slog.Logger) (*Enforcer, error) {
	core, networking := factory.Core().V1(), factory.Networking().V1()
	e := &Enforcer{
		node: node, pods: core.Pods().Lister(), namespaces: core.Namespaces().Lister(), policies: networking.NetworkPolicies().Lister(),
		changes: follow.New(), logger: logger,
	}
	for name, f := range map[knftables.Family]bool{knftables.IPv4Family: false, knftables.IPv6Family: true} {
		if f && !ipv6 {
			continue
		}
		nft, err := knftables.New(name, Table)
		if err != nil {
			return nil, fmt.Errorf("network policies: nftables cannot be used: %w", err)
		}
		e.families = append(e.families, family{ipv6: f, nft: nft})
	}
	for _, informer := range []cache.SharedIndexInformer{core.Pods().Informer(), core.Namespaces().Informer(), networking.NetworkPolicies().Informer()} {
		if err := e.changes.On(informer, meaningful); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// meaningful leaves out what changes without changing rules.
func meaningful(old, cur any) bool {
	switch o := old.(type) {
	case *corev1.Pod:
		c := cur.(*corev1.Pod)
		return !maps.Equal(o.Labels, c.Labels) || !slices.Equal(o.Status.PodIPs, c.Status.PodIPs) || o.Status.Phase != c.Status.Phase || o.Spec.NodeName != c.Spec.NodeName
	case *corev1.Namespace:
		return !maps.Equal(o.Labels, cur.(*corev1.Namespace).Labels)
	case *networkingv1.NetworkPolicy:
		return o.Generation != cur.(*networkingv1.NetworkPolicy).Generation
	}
	return true
}

// Run enforces until ctx ends. The rules stay: pods run on.
func (e *Enforcer) Run(ctx context.Context) error {
	return e.changes.Run(ctx, e.logger, "network policies not written", e.sync)
}

func (e *Enforcer) sync(ctx context.Context) error {
	in := Input{Node: e.node}
	var err error
	if in.Pods, err = e.pods.List(labels.Everything()); err != nil {
		return err
	}
	if in.Namespaces, err = e.namespaces.List(labels.Everything()); err != nil {
		return err
	}
	if in.Policies, err = e.policies.List(labels.Everything()); err != nil {
		return err
	}
	for i := range e.families {
		f := &e.families[i]
		in.IPv6 = f.ipv6
		if err := f.write(ctx, Plan(in).table()); err != nil {
			return err
		}
	}
	return nil
}

// write brings the table to rules, by what differs from those written last; all of it
// where nothing is known.
func (f *family) write(ctx context.Context, rules ruleset.Ruleset) error {
	tx := f.nft.NewTransaction()
	old := ruleset.New()
	switch {
	case f.written != nil && !f.written.Empty() && !rules.Empty():
		old = *f.written
	case f.written != nil && f.written.Empty() && rules.Empty():
		return nil
	default:
		base(tx, f.ipv6, rules.Empty())
	}
	if !ruleset.Diff(tx, old, rules) && tx.NumOperations() == 0 {
		return nil
	}
	f.written = nil
	if err := f.nft.Run(ctx, tx); err != nil {
		return err
	}
	f.written = &rules
	return nil
}

// Names of the shared part of the table.
const (
	ingressPods = "ingress-pods"
	egressPods  = "egress-pods"
)

// base writes the unchanging part, in place of whatever is there; gone leaves nothing.
func base(tx *knftables.Transaction, ipv6, gone bool) {
	ip, address := "ip", "ipv4_addr"
	if ipv6 {
		ip, address = "ip6", "ipv6_addr"
	}
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	if gone {
		return
	}
	tx.Add(&knftables.Table{})
	for _, name := range []string{ingressPods, egressPods} {
		tx.Add(&knftables.Map{Name: name, Type: address + " : verdict"})
	}
	kind, hook, priority := knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority
	tx.Add(&knftables.Chain{Name: "ingress"})
	tx.Add(&knftables.Chain{Name: "forward", Type: &kind, Hook: &hook, Priority: &priority})
	for _, r := range []knftables.Rule{
		{Chain: "ingress", Rule: ip + " daddr vmap @" + ingressPods},
		{Chain: "ingress", Rule: "accept"},
		{Chain: "forward", Rule: "ct state established,related accept"},
		{Chain: "forward", Rule: ip + " saddr vmap @" + egressPods},
		{Chain: "forward", Rule: "goto ingress"},
	} {
		tx.Add(&r)
	}
}

// table is the rules as the changing part of a table.
func (r Rules) table() ruleset.Ruleset {
	out := ruleset.New()
	for _, s := range r.Sets {
		out.Sets[s.Name] = ruleset.Set{Type: s.Type}
		for _, e := range s.Elements {
			out.Elements[ruleset.Key{In: s.Name, Key: e}] = ""
		}
	}
	for _, c := range r.Chains {
		out.Chains[c.Name] = c.Rules
	}
	for name, verdicts := range map[string]map[string]string{ingressPods: r.Ingress, egressPods: r.Egress} {
		for ip, chain := range verdicts {
			out.Elements[ruleset.Key{In: name, Key: ip}] = "goto " + chain
		}
	}
	return out
}

// Remove takes the tables away.
func Remove(ctx context.Context) error {
	for _, name := range []knftables.Family{knftables.IPv4Family, knftables.IPv6Family} {
		nft, err := knftables.New(name, Table)
		if err != nil {
			return err
		}
		tx := nft.NewTransaction()
		tx.Add(&knftables.Table{})
		tx.Delete(&knftables.Table{})
		if err := nft.Run(ctx, tx); err != nil {
			return fmt.Errorf("remove network policies: %w", err)
		}
	}
	return nil
}
