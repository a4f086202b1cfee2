package ingress

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/runtime/follow"
)

// Config is what a Proxy needs.
type Config struct {
	NodeName string
	// Address is where it listens, on Port and TLSPort (default 80 and 443).
	Address       netip.Addr
	Port, TLSPort uint16
	// Controller is what the IngressClasses served name as theirs.
	Controller string
	// Annotation of the Node holds the address while the listeners are open, and is
	// empty while they are not.
	Annotation string
	// Client acts as the node: it reads Secrets and writes the annotation.
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Logger    *slog.Logger
}

// Proxy serves the Ingresses on one node, in the network namespace of its process.
type Proxy struct {
	cfg       Config
	ingresses networkinglisters.IngressLister
	classes   networkinglisters.IngressClassLister
	objects   listedObjects
	changes   *follow.Follower
	table     atomic.Pointer[Table]
	server    *server
	balancer  *balancer
	nodes     corelisters.NodeLister
	problems  []string
}

// New registers with the informers, which its caller starts.
func New(cfg Config) (*Proxy, error) {
	if cfg.Port == 0 {
		cfg.Port = 80
	}
	if cfg.TLSPort == 0 {
		cfg.TLSPort = 443
	}
	cfg.Logger = cfg.Logger.With("part", "ingress")
	networking, core, discovery := cfg.Informers.Networking().V1(), cfg.Informers.Core().V1(), cfg.Informers.Discovery().V1()
	p := &Proxy{
		cfg: cfg, ingresses: networking.Ingresses().Lister(), classes: networking.IngressClasses().Lister(),
		nodes: core.Nodes().Lister(), changes: follow.New(), balancer: newBalancer(),
	}
	p.objects = listedObjects{core.Services().Lister(), discovery.EndpointSlices().Lister(), newSecrets(cfg.Client, p.changes.Wake)}
	p.table.Store(Build(nil, p.objects))
	var err error
	if p.server, err = newServer(p.table.Load, newHandler(p.table.Load, p.balancer, cfg.Logger), cfg.Logger); err != nil {
		return nil, err
	}
	for informer, changed := range map[cache.SharedIndexInformer]func(old, cur any) bool{
		networking.Ingresses().Informer():      newSpec,
		networking.IngressClasses().Informer(): newVersion,
		core.Nodes().Informer():                p.misreported,
		core.Services().Informer():             p.used,
		discovery.EndpointSlices().Informer():  p.used,
	} {
		if err := p.changes.On(informer, changed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// newSpec leaves out what the status controller writes.
func newSpec(old, cur any) bool {
	o, c := old.(*networkingv1.Ingress), cur.(*networkingv1.Ingress)
	return o.Generation != c.Generation || o.Annotations[classAnnotation] != c.Annotations[classAnnotation] || c.DeletionTimestamp != nil
}

func newVersion(old, cur any) bool {
	return old.(metav1.Object).GetResourceVersion() != cur.(metav1.Object).GetResourceVersion()
}

// used leaves out Services, and slices of such, that no Ingress leads to.
func (p *Proxy) used(old, cur any) bool {
	obj := cur.(metav1.Object)
	key := objectKey{obj.GetNamespace(), obj.GetName()}
	if _, slice := cur.(*discoveryv1.EndpointSlice); slice {
		key.name = obj.GetLabels()[discoveryv1.LabelServiceName]
	}
	return p.table.Load().services[key] && newVersion(old, cur)
}

// Run serves until ctx ends.
func (p *Proxy) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.balancer.close()
	defer p.server.wait()
	defer p.server.close()
	defer p.objects.secrets.wait()
	defer cancel()
	return p.changes.Run(ctx, p.cfg.Logger, "ingresses are not served as they should be", p.sync)
}

// sync builds the table anew, and opens or closes the listeners.
func (p *Proxy) sync(ctx context.Context) error {
	classes, err := p.classes.List(labels.Everything())
	if err != nil {
		return err
	}
	all, err := p.ingresses.List(labels.Everything())
	if err != nil {
		return err
	}
	names := Classes(classes, p.cfg.Controller)
	ours := slices.DeleteFunc(slices.Clone(all), func(i *networkingv1.Ingress) bool { return !Served(i, names) })
	table := Build(ours, p.objects)
	p.objects.secrets.follow(ctx, table.secrets)
	if old := p.table.Swap(table); !maps.Equal(old.services, table.services) {
		p.changes.Wake() // what changed of the new ones meanwhile was not looked at
	}
	if !slices.Equal(p.problems, table.problems) {
		for _, problem := range table.problems {
			p.cfg.Logger.Warn("an ingress is not served in full", "err", problem)
		}
		p.problems = table.problems
	}
	if table.size == 0 {
		p.server.close()
		return p.report(ctx, "")
	}
	if err := p.server.listen(ctx, netip.AddrPortFrom(p.cfg.Address, p.cfg.Port), netip.AddrPortFrom(p.cfg.Address, p.cfg.TLSPort)); err != nil {
		return errors.Join(err, p.report(ctx, ""))
	}
	return p.report(ctx, p.cfg.Address.String())
}

// misreported says that another hand changed the node's annotation, or removed it.
func (p *Proxy) misreported(old, cur any) bool {
	o, c := old.(*corev1.Node), cur.(*corev1.Node)
	return c.Name == p.cfg.NodeName && o.Annotations[p.cfg.Annotation] != c.Annotations[p.cfg.Annotation]
}

// report writes the Node's annotation if it says something else. A node that is not
// there yet wakes Run when it is.
func (p *Proxy) report(ctx context.Context, address string) error {
	node, err := p.nodes.Get(p.cfg.NodeName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if said, ok := node.Annotations[p.cfg.Annotation]; ok && said == address {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{p.cfg.Annotation: address}}})
	if err != nil {
		return err
	}
	if _, err := p.cfg.Client.CoreV1().Nodes().Patch(ctx, p.cfg.NodeName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("say in the node where ingresses are served: %w", err)
	}
	return nil
}

// listedObjects are the Objects of informers.
type listedObjects struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	secrets  *secrets
}

// Service implements Objects.
func (o listedObjects) Service(namespace, name string) *corev1.Service {
	svc, err := o.services.Services(namespace).Get(name)
	if err != nil {
		return nil
	}
	return svc
}

// Slices implements Objects.
func (o listedObjects) Slices(namespace, service string) []*discoveryv1.EndpointSlice {
	list, err := o.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
	if err != nil {
		return nil
	}
	return list
}

// Certificate implements Objects.
func (o listedObjects) Certificate(namespace, secret string) (*tls.Certificate, error) {
	return o.secrets.certificate(namespace, secret)
}
