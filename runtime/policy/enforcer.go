package policy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
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
	ipv6    bool
	nft     knftables.Interface
	written *Rules
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
		rules := Plan(in)
		if f.written != nil && reflect.DeepEqual(*f.written, rules) {
			continue
		}
		if err := f.nft.Run(ctx, transaction(f.nft, rules, f.ipv6)); err != nil {
			return err
		}
		f.written = &rules
	}
	return nil
}

// transaction replaces the whole table.
func transaction(nft knftables.Interface, r Rules, ipv6 bool) *knftables.Transaction {
	ip, address := "ip", "ipv4_addr"
	if ipv6 {
		ip, address = "ip6", "ipv6_addr"
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	if len(r.Ingress)+len(r.Egress) == 0 {
		return tx
	}
	tx.Add(&knftables.Table{})
	for _, name := range []string{"ingress-pods", "egress-pods"} {
		tx.Add(&knftables.Map{Name: name, Type: address + " : verdict"})
	}
	for _, s := range r.Sets {
		tx.Add(&knftables.Set{Name: s.Name, Type: s.Type})
		for _, e := range s.Elements {
			tx.Add(&knftables.Element{Set: s.Name, Key: element(e)})
		}
	}
	kind, hook, priority := knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority
	tx.Add(&knftables.Chain{Name: "ingress"})
	tx.Add(&knftables.Chain{Name: "forward", Type: &kind, Hook: &hook, Priority: &priority})
	for _, c := range r.Chains {
		tx.Add(&knftables.Chain{Name: c.Name})
	}
	for _, c := range r.Chains {
		for _, rule := range c.Rules {
			tx.Add(&knftables.Rule{Chain: c.Name, Rule: rule})
		}
	}
	verdicts := func(name string, of map[string]string) {
		for _, ip := range slices.Sorted(maps.Keys(of)) {
			tx.Add(&knftables.Element{Map: name, Key: []string{ip}, Value: []string{"goto " + of[ip]}})
		}
	}
	verdicts("ingress-pods", r.Ingress)
	verdicts("egress-pods", r.Egress)
	tx.Add(&knftables.Rule{Chain: "ingress", Rule: ip + " daddr vmap @ingress-pods"})
	tx.Add(&knftables.Rule{Chain: "ingress", Rule: "accept"})
	tx.Add(&knftables.Rule{Chain: "forward", Rule: "ct state established,related accept"})
	tx.Add(&knftables.Rule{Chain: "forward", Rule: ip + " saddr vmap @egress-pods"})
	tx.Add(&knftables.Rule{Chain: "forward", Rule: "goto ingress"})
	return tx
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
