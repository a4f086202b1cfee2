package admission

import (
	"context"
	"io"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	policymutating "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	policyvalidating "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	webhookinitializer "k8s.io/apiserver/pkg/admission/plugin/webhook/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/apiserver/pkg/util/webhook"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/admission/quota"
)

// lazy stands for a plugin of upstream that acts by objects users write: webhook
// configurations, admission policies. Such plugins bring CEL and HTTP machinery
// along, so they are made when the first such object exists.
type lazy struct {
	*admission.Handler
	objects cache.Store
	plugin  func() (admission.Interface, error)
}

// Admit implements admission.MutationInterface.
func (l *lazy) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	p, err := l.needed()
	if err != nil {
		return err
	}
	if m, ok := p.(admission.MutationInterface); ok {
		return m.Admit(ctx, a, o)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (l *lazy) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	p, err := l.needed()
	if err != nil {
		return err
	}
	if v, ok := p.(admission.ValidationInterface); ok {
		return v.Validate(ctx, a, o)
	}
	return nil
}

// needed returns nil while no object calls for the plugin.
func (l *lazy) needed() (admission.Interface, error) {
	if len(l.objects.ListKeys()) == 0 {
		return nil, nil
	}
	p, err := l.plugin()
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return p, nil
}

// newLazy waits for the informer's objects before it makes a plugin, and gives the
// plugin what it asks for.
func newLazy(b *builder, name string, objects cache.SharedIndexInformer, configured func(io.Reader) (admission.Interface, error)) (*lazy, error) {
	config, err := b.config(name)
	if err != nil {
		return nil, err
	}
	make := func() (admission.Interface, error) { return configured(config()) }
	if config() != nil {
		// A configuration that is wrong is told at the start, not at the first use.
		if _, err := make(); err != nil {
			return nil, err
		}
	}
	b.uses(objects)
	return &lazy{
		Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete, admission.Connect),
		objects: objects.GetStore(),
		plugin: sync.OnceValues(func() (admission.Interface, error) {
			p, err := make()
			if err != nil {
				return nil, err
			}
			b.initialize(p)
			return p, admission.ValidateInitialization(p)
		}),
	}, nil
}

func newMutatingWebhook(b *builder) (admission.Interface, error) {
	informer := b.Informers.Admissionregistration().V1().MutatingWebhookConfigurations().Informer()
	return newLazy(b, MutatingWebhook, informer, func(config io.Reader) (admission.Interface, error) {
		return mutating.NewMutatingWebhook(config)
	})
}

func newValidatingWebhook(b *builder) (admission.Interface, error) {
	informer := b.Informers.Admissionregistration().V1().ValidatingWebhookConfigurations().Informer()
	return newLazy(b, ValidatingWebhook, informer, func(config io.Reader) (admission.Interface, error) {
		return validating.NewValidatingAdmissionWebhook(config)
	})
}

func newMutatingPolicy(b *builder) (admission.Interface, error) {
	group := b.Informers.Admissionregistration().V1()
	b.uses(group.MutatingAdmissionPolicyBindings().Informer())
	return newLazy(b, MutatingPolicy, group.MutatingAdmissionPolicies().Informer(), func(config io.Reader) (admission.Interface, error) {
		return policymutating.NewPlugin(config)
	})
}

func newValidatingPolicy(b *builder) (admission.Interface, error) {
	group := b.Informers.Admissionregistration().V1()
	b.uses(group.ValidatingAdmissionPolicyBindings().Informer())
	return newLazy(b, ValidatingPolicy, group.ValidatingAdmissionPolicies().Informer(), func(config io.Reader) (admission.Interface, error) {
		return policyvalidating.NewPlugin(config)
	})
}

// newQuota counts what namespaces may hold. It comes last, so that nothing is
// counted that another plugin refuses.
func newQuota(b *builder) (admission.Interface, error) {
	b.uses(b.Informers.Core().V1().ResourceQuotas().Informer())
	text, err := b.config(ResourceQuota)
	if err != nil {
		return nil, err
	}
	config, err := resourcequota.LoadConfiguration(text())
	if err != nil {
		return nil, err
	}
	p, err := resourcequota.NewResourceQuota(config, quotaWorkers)
	if err != nil {
		return nil, err
	}
	b.initialize(p)
	p.SetQuotaConfiguration(quota.Configuration(b.Informers))
	lister := b.Informers.Core().V1().ResourceQuotas().Lister()
	return &quotaPlugin{p, lister}, admission.ValidateInitialization(p)
}

// quotaPlugin spares namespaces without quotas, which are most, the queue of
// upstream's plugin.
type quotaPlugin struct {
	*resourcequota.QuotaAdmission
	quotas corev1listers.ResourceQuotaLister
}

// Validate implements admission.ValidationInterface.
func (p *quotaPlugin) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if all, err := p.quotas.ResourceQuotas(a.GetNamespace()).List(labels.Everything()); err == nil && len(all) == 0 {
		return nil
	}
	return p.QuotaAdmission.Validate(ctx, a, o)
}

const quotaWorkers = 5

// initialize hands a plugin of upstream what it asks for.
func (b *builder) initialize(p admission.Interface) {
	initializer.New(b.Client, b.Dynamic, b.Informers, b.Authorizer,
		utilfeature.DefaultFeatureGate, compatibility.DefaultBuildEffectiveVersion(), b.Done, b.Mapper).Initialize(p)
	webhookinitializer.NewPluginInitializer(
		func(delegate webhook.AuthenticationInfoResolver) webhook.AuthenticationInfoResolver {
			return inCluster{bounded{delegate}, b.Loopback}
		},
		b.Services,
	).Initialize(p)
}

// inCluster lets a webhook that is the API server itself be called in process.
type inCluster struct {
	webhook.AuthenticationInfoResolver
	loopback *rest.Config
}

// ClientConfigForService implements webhook.AuthenticationInfoResolver.
func (r inCluster) ClientConfigForService(name, namespace string, port int) (*rest.Config, error) {
	if r.loopback != nil && name == "kubernetes" && namespace == "default" && port == 443 {
		return r.loopback, nil
	}
	return r.AuthenticationInfoResolver.ClientConfigForService(name, namespace, port)
}
