package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Names of the plugins, as upstream's --disable-admission-plugins knows them.
const (
	NamespaceLifecycle           = "NamespaceLifecycle"
	LimitRanger                  = "LimitRanger"
	ServiceAccount               = "ServiceAccount"
	NodeRestriction              = "NodeRestriction"
	TaintNodesByCondition        = "TaintNodesByCondition"
	PodSecurity                  = "PodSecurity"
	Priority                     = "Priority"
	DefaultTolerationSeconds     = "DefaultTolerationSeconds"
	DefaultStorageClass          = "DefaultStorageClass"
	StorageObjectInUseProtection = "StorageObjectInUseProtection"
	PersistentVolumeClaimResize  = "PersistentVolumeClaimResize"
	RuntimeClass                 = "RuntimeClass"
	CertificateApproval          = "CertificateApproval"
	CertificateSigning           = "CertificateSigning"
	CertificateSubject           = "CertificateSubjectRestriction"
	DefaultIngressClass          = "DefaultIngressClass"
	OwnerReferences              = "OwnerReferencesPermissionEnforcement"
	MutatingPolicy               = "MutatingAdmissionPolicy"
	MutatingWebhook              = "MutatingAdmissionWebhook"
	ValidatingPolicy             = "ValidatingAdmissionPolicy"
	ValidatingWebhook            = "ValidatingAdmissionWebhook"
	ResourceQuota                = "ResourceQuota"
)

// Config describes the chain. Informers, Client and Authorizer are required.
type Config struct {
	// Informers is used at once; the caller starts it afterwards.
	Informers informers.SharedInformerFactory
	// Client is for the plugins of upstream; ours do without.
	Client kubernetes.Interface
	// Authorizer answers the questions that plugins ask about the requester.
	Authorizer authorizer.Authorizer
	// Mapper finds the resource of an owner reference; nil guesses it by name. With
	// Dynamic, it finds the parameters of admission policies: if either is nil,
	// those plugins are left out.
	Mapper  meta.RESTMapper
	Dynamic dynamic.Interface
	// Loopback calls the server itself, for webhooks that point at it; may be nil.
	Loopback *rest.Config
	// Services finds the servers of webhooks; nil asks the machine's DNS.
	Services webhook.ServiceResolver
	// Done ends what plugins of upstream run in the background; nil never does.
	Done <-chan struct{}
	// Disabled plugins, by name. Some wait for a controller to finish their work:
	// TaintNodesByCondition for node lifecycle, StorageObjectInUseProtection for
	// the protection controllers, ResourceQuota for the quota controller: until it
	// has filled in a quota, nothing that counts is let into its namespace.
	Disabled []string
	// Enabled turns on plugins that are off by default.
	Enabled []string
	// Plugins configures plugins by name; nil leaves their defaults. See ReadConfig.
	Plugins admission.ConfigProvider
	// Extra plugins run after all but the quota: policies among them.
	Extra []Plugin
	// Refused, if set, is told who refused what: a plugin, or the chain itself.
	Refused func(plugin string, a admission.Attributes, err error)
}

// Plugin is a link of the chain.
type Plugin struct {
	Name string
	admission.Interface
}

// offByDefault: upstream leaves it off, too.
var offByDefault = []string{OwnerReferences}

// readyWait is how long a write waits for the caches at start.
const readyWait = 10 * time.Second

// Chain is the plugins in order. It is an admission.MutationInterface and an
// admission.ValidationInterface.
type Chain struct {
	plugins []Plugin
	refused func(plugin string, a admission.Attributes, err error)
	synced  []cache.InformerSynced
	ready   atomic.Bool
}

var (
	_ admission.MutationInterface   = (*Chain)(nil)
	_ admission.ValidationInterface = (*Chain)(nil)
)

// New builds the chain.
func New(cfg Config) (*Chain, error) {
	if cfg.Informers == nil || cfg.Client == nil || cfg.Authorizer == nil {
		return nil, errors.New("admission: Informers, Client and Authorizer are required")
	}
	if cfg.Done == nil {
		cfg.Done = make(chan struct{})
	}
	if cfg.Plugins == nil {
		cfg.Plugins = noConfig{}
	}
	if cfg.Services == nil {
		cfg.Services = webhook.NewDefaultServiceResolver()
	}
	if cfg.Mapper != nil {
		cfg.Mapper = &freshMapper{RESTMapper: cfg.Mapper}
	}
	b := &builder{Config: cfg, chain: &Chain{refused: cfg.Refused}}
	if err := b.build(); err != nil {
		return nil, fmt.Errorf("admission: %w", err)
	}
	return b.chain, nil
}

// builder collects plugins and the informers they use.
type builder struct {
	Config
	chain *Chain
}

func (b *builder) on(name string) bool {
	if slices.Contains(b.Disabled, name) {
		return false
	}
	if (name == MutatingPolicy || name == ValidatingPolicy) && (b.Mapper == nil || b.Dynamic == nil) {
		return false
	}
	return !slices.Contains(offByDefault, name) || slices.Contains(b.Enabled, name)
}

func (b *builder) add(name string, p admission.Interface) {
	b.chain.plugins = append(b.chain.plugins, Plugin{name, p})
}

// uses notes informers to wait for.
func (b *builder) uses(list ...cache.SharedIndexInformer) {
	for _, i := range list {
		b.chain.synced = append(b.chain.synced, i.HasSynced)
	}
}

func (b *builder) build() error {
	if b.on(NamespaceLifecycle) {
		p, err := lifecycle.NewLifecycle(sets.New(metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic))
		if err != nil {
			return err
		}
		b.initialize(p)
		if err := admission.ValidateInitialization(p); err != nil {
			return err
		}
		b.add(NamespaceLifecycle, p)
	}
	for _, p := range plugins {
		if b.on(p.name) {
			plugin, err := p.make(b)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			b.add(p.name, plugin)
		}
	}
	b.add("DeviceAdminAccess", newAdminAccess(b))
	b.chain.plugins = append(b.chain.plugins, b.Extra...)
	if b.on(ResourceQuota) {
		p, err := newQuota(b)
		if err != nil {
			return fmt.Errorf("%s: %w", ResourceQuota, err)
		}
		b.add(ResourceQuota, p)
	}
	return nil
}

// plugins in upstream's order.
var plugins = []struct {
	name string
	make func(*builder) (admission.Interface, error)
}{
	{LimitRanger, newLimitRanger},
	{ServiceAccount, newServiceAccount},
	{NodeRestriction, newNodeRestriction},
	{TaintNodesByCondition, newNodeTaint},
	{PodSecurity, newPodSecurity},
	{Priority, newPriority},
	{DefaultTolerationSeconds, newTolerations},
	{DefaultStorageClass, newStorageClass},
	{StorageObjectInUseProtection, newStorageProtection},
	{OwnerReferences, newOwnerReferences},
	{PersistentVolumeClaimResize, newClaimResize},
	{RuntimeClass, newRuntimeClass},
	{CertificateApproval, newCertificateApproval},
	{CertificateSigning, newCertificateSigning},
	{CertificateSubject, newCertificateSubject},
	{DefaultIngressClass, newIngressClass},
	{MutatingPolicy, newMutatingPolicy},
	{MutatingWebhook, newMutatingWebhook},
	{ValidatingPolicy, newValidatingPolicy},
	{ValidatingWebhook, newValidatingWebhook},
}

// Handles implements admission.Interface.
func (c *Chain) Handles(op admission.Operation) bool {
	return slices.ContainsFunc(c.plugins, func(p Plugin) bool { return p.Handles(op) })
}

// Admit implements admission.MutationInterface. A webhook that saw the object
// before others changed it may ask for one more round.
func (c *Chain) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := c.waitForReady(ctx, a); err != nil {
		return err
	}
	if err := c.admit(ctx, a, o); err != nil {
		return err
	}
	if again := a.GetReinvocationContext(); again.ShouldReinvoke() {
		again.SetIsReinvoke()
		return c.admit(ctx, a, o)
	}
	return nil
}

func (c *Chain) admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	for _, p := range c.plugins {
		if m, ok := p.Interface.(admission.MutationInterface); ok && p.Handles(a.GetOperation()) {
			began := time.Now()
			err := m.Admit(ctx, a, o)
			metrics.Metrics.ObserveAdmissionController(ctx, time.Since(began), err != nil, a, "admit", p.Name)
			if err != nil {
				return c.refuse(ctx, p.Name, a, err)
			}
		}
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (c *Chain) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := c.waitForReady(ctx, a); err != nil {
		return err
	}
	for _, p := range c.plugins {
		if v, ok := p.Interface.(admission.ValidationInterface); ok && p.Handles(a.GetOperation()) {
			began := time.Now()
			err := v.Validate(ctx, a, o)
			metrics.Metrics.ObserveAdmissionController(ctx, time.Since(began), err != nil, a, "validate", p.Name)
			if err != nil {
				return c.refuse(ctx, p.Name, a, err)
			}
		}
	}
	return nil
}

// refuse makes a refusal known. What a client that has gone did not hear is none.
func (c *Chain) refuse(ctx context.Context, plugin string, a admission.Attributes, err error) error {
	if c.refused != nil && ctx.Err() == nil {
		c.refused(plugin, a, err)
	}
	return err
}

func (c *Chain) waitForReady(ctx context.Context, a admission.Attributes) error {
	if c.ready.Load() {
		return nil
	}
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, readyWait, true, func(context.Context) (bool, error) {
		return !slices.ContainsFunc(c.synced, func(f cache.InformerSynced) bool { return !f() }), nil
	})
	if err != nil {
		return admission.NewForbidden(a, errors.New("not yet ready to handle request"))
	}
	c.ready.Store(true)
	return nil
}
