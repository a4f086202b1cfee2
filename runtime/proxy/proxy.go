package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"

	"github.com/pintle-io/pintle/runtime/follow"
	"github.com/pintle-io/pintle/runtime/ruleset"
)

// DefaultTable is the nftables table's name.
const DefaultTable = "pintle-proxy"

// Config is what a Proxy needs.
type Config struct {
	// NodeName tells which endpoints are local.
	NodeName string
	// ClusterCIDRs hold the pods' addresses, one range per family to serve.
	ClusterCIDRs []netip.Prefix
	// Table defaults to DefaultTable.
	Table          string
	Services       coreinformers.ServiceInformer
	EndpointSlices discoveryinformers.EndpointSliceInformer
	// Nodes tell the node's zone, which endpoints may be meant for. Without them it is
	// in none.
	Nodes  coreinformers.NodeInformer
	Logger *slog.Logger
}

// Proxy keeps the Services of one node. It writes in the network namespace of
// its process.
type Proxy struct {
	cfg      Config
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	changes  *follow.Follower
	first    chan struct{}
	tables   []*table
	health   healthServers
}

// table is one family's table and what was last written to it.
type table struct {
	family  family
	cidr    netip.Prefix
	nft     knftables.Interface
	written bool
	rules   *assembly
	at      place // for which the rules are
}

// New registers with the informers, which its caller starts. It fails with a
// message naming what to install when nftables cannot be used.
func New(cfg Config) (*Proxy, error) {
	if cfg.Table == "" {
		cfg.Table = DefaultTable
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{
		cfg:      cfg,
		services: cfg.Services.Lister(),
		slices:   cfg.EndpointSlices.Lister(),
		changes:  follow.New(),
		first:    make(chan struct{}),
		health:   healthServers{open: map[uint16]*healthServer{}, log: cfg.Logger},
	}
	if err := p.openTables(); err != nil {
		return nil, err
	}
	return p, p.subscribe()
}

func (p *Proxy) openTables() error {
	for _, cidr := range p.cfg.ClusterCIDRs {
		f := ipv4
		if cidr.Addr().Is6() {
			f = ipv6
		}
		nft, err := openTable(f, p.cfg.Table)
		if err != nil {
			return err
		}
		p.tables = append(p.tables, newTable(f, cidr, nft))
	}
	if len(p.tables) == 0 {
		return errors.New("service proxy: no cluster address range given")
	}
	return nil
}

func newTable(f family, cidr netip.Prefix, nft knftables.Interface) *table {
	return &table{family: f, cidr: cidr, nft: nft, rules: newAssembly()}
}

func openTable(f family, name string) (knftables.Interface, error) {
	nft, err := knftables.New(f.nft, name)
	if err != nil {
		return nil, fmt.Errorf("service proxy: nftables cannot be used (package nftables 1.0.1 or later, root needed): %w", err)
	}
	return nft, nil
}

func (p *Proxy) subscribe() error {
	for _, informer := range []cache.SharedIndexInformer{p.cfg.Services.Informer(), p.cfg.EndpointSlices.Informer()} {
		if err := p.changes.On(informer, meaningful); err != nil {
			return err
		}
	}
	if p.cfg.Nodes == nil {
		return nil
	}
	return p.changes.On(p.cfg.Nodes.Informer(), func(old, cur any) bool {
		o, c := old.(*corev1.Node), cur.(*corev1.Node)
		return c.Name == p.cfg.NodeName && o.Labels[corev1.LabelTopologyZone] != c.Labels[corev1.LabelTopologyZone]
	})
}

// place is where the node is now.
func (p *Proxy) place() place {
	out := place{name: p.cfg.NodeName}
	if p.cfg.Nodes != nil {
		if node, err := p.cfg.Nodes.Lister().Get(out.name); err == nil {
			out.zone = node.Labels[corev1.LabelTopologyZone]
		}
	}
	return out
}

// meaningful filters resyncs, which change nothing.
func meaningful(old, cur any) bool {
	switch o := old.(type) {
	case *corev1.Service:
		return o.ResourceVersion != cur.(*corev1.Service).ResourceVersion
	case *discoveryv1.EndpointSlice:
		return o.ResourceVersion != cur.(*discoveryv1.EndpointSlice).ResourceVersion
	}
	return true
}

// Synced is closed when the rules have been written for the first time.
func (p *Proxy) Synced() <-chan struct{} { return p.first }

// Run keeps the rules until ctx ends, and leaves them then.
func (p *Proxy) Run(ctx context.Context) error {
	defer p.health.close()
	return p.changes.Run(ctx, p.cfg.Logger, "service rules not written", p.sync)
}

// sync brings every family's table up to the informers' state.
func (p *Proxy) sync(ctx context.Context) error {
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return err
	}
	list, err := p.slices.List(labels.Everything())
	if err != nil {
		return err
	}
	now := snapshot{services, backends(list)}
	for _, t := range p.tables {
		if err := t.sync(ctx, p.place(), now); err != nil {
			return err
		}
	}
	select {
	case <-p.first:
	default:
		close(p.first)
	}
	return p.health.sync(ctx, healthOf(p.cfg.NodeName, now))
}

// sync writes the difference; after a failure the whole table, since nothing is
// known of it then.
func (t *table) sync(ctx context.Context, at place, now snapshot) error {
	if t.at != at {
		t.at, t.written, t.rules = at, false, newAssembly()
	}
	changed := t.rules.changes(now, func(svc *corev1.Service, list []*discoveryv1.EndpointSlice) *part {
		ports := portsOf(at, t.family.addressType, svc, list)
		return &part{svc, list, ports, Build(t.family, t.cidr, ports)}
	})
	if t.written && len(changed) == 0 {
		return nil
	}
	tx := t.nft.NewTransaction()
	if !t.written {
		baseTable(tx, t.family, t.cidr)
	}
	s := t.rules.replace(changed)
	if differs := ruleset.Diff(tx, s.old, s.cur); !differs && t.written {
		return nil
	}
	t.written = false
	if err := t.nft.Run(ctx, tx); err != nil {
		t.rules = newAssembly()
		return fmt.Errorf("write table: %w", err)
	}
	t.written = true
	return dropFlows(t.family, staleFlows(s.oldPorts, s.curPorts))
}

// Cleanup removes the tables of every family; no error when there are none.
func Cleanup(ctx context.Context, name string) error {
	if name == "" {
		name = DefaultTable
	}
	for _, f := range []family{ipv4, ipv6} {
		nft, err := openTable(f, name)
		if err != nil {
			return err
		}
		tx := nft.NewTransaction()
		tx.Add(&knftables.Table{})
		tx.Delete(&knftables.Table{})
		if err := nft.Run(ctx, tx); err != nil {
			return fmt.Errorf("remove the service rules: %w", err)
		}
	}
	return nil
}
