package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	authorizationmetrics "k8s.io/apiserver/pkg/authorization/metrics"
	"k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/apiserver/pkg/server/options/authorizationconfig/metrics"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	webhookmetrics "k8s.io/apiserver/plugin/pkg/authorizer/webhook/metrics"

	"github.com/pintle-io/pintle/engine/auth/configfile"
)

// The types an AuthorizationConfiguration may list, besides Webhook. Their names are
// their types in lower case.
const (
	TypeNode        = "Node"
	TypeRBAC        = "RBAC"
	TypeAlwaysAllow = "AlwaysAllow"
	TypeAlwaysDeny  = "AlwaysDeny"
)

// Full is an authorizer that can also list what a user may do.
type Full interface {
	authorizer.Authorizer
	authorizer.RuleResolver
}

// Config describes a Chain. Node and RBAC are required.
type Config struct {
	Node, RBAC Full
	// File is an AuthorizationConfiguration; empty asks Node, then RBAC.
	File string
	// ServerID labels the metrics.
	ServerID string
	Logger   *slog.Logger
}

// Chain asks authorizers in order. It is an authorizer.Authorizer and an
// authorizer.RuleResolver.
type Chain struct {
	cfg      Config
	data     []byte
	required sets.Set[string]
	compiler authorizationcel.Compiler
	current  atomic.Pointer[links]
}

// links is the authorizers of one state of the file.
type links struct {
	authorizer.Authorizer
	authorizer.RuleResolver
}

var _ Full = (*Chain)(nil)

// New reads the configuration.
func New(cfg Config) (*Chain, error) {
	if cfg.Node == nil || cfg.RBAC == nil {
		return nil, errors.New("authz: Node and RBAC are required")
	}
	c := &Chain{cfg: cfg, compiler: authorizationcel.NewDefaultCompiler()}
	config := &apiserver.AuthorizationConfiguration{Authorizers: []apiserver.AuthorizerConfiguration{
		{Type: TypeNode, Name: strings.ToLower(TypeNode)}, {Type: TypeRBAC, Name: strings.ToLower(TypeRBAC)},
	}}
	if cfg.File != "" {
		var err error
		if c.data, err = os.ReadFile(cfg.File); err != nil {
			return nil, err
		}
		if config, err = c.decode(c.data); err != nil {
			return nil, fmt.Errorf("authorization configuration %s: %w", cfg.File, err)
		}
		metrics.RegisterMetrics()
		metrics.RecordAuthorizationConfigLastConfigInfo(cfg.ServerID, string(c.data))
	}
	authorizationmetrics.RegisterMetrics()
	c.required = builtIn(config)
	first, err := c.build(config)
	if err != nil {
		return nil, fmt.Errorf("authorization configuration %s: %w", cfg.File, err)
	}
	c.current.Store(first)
	return c, nil
}

// Run follows the file until ctx ends.
func (c *Chain) Run(ctx context.Context) error {
	if c.cfg.File == "" {
		<-ctx.Done()
		return nil
	}
	configfile.Watch(ctx, c.cfg.File, c.data, func(_ context.Context, data []byte) error {
		if err := c.reload(data); err != nil {
			metrics.RecordAuthorizationConfigAutomaticReloadFailure(c.cfg.ServerID)
			return err
		}
		metrics.RecordAuthorizationConfigAutomaticReloadSuccess(c.cfg.ServerID, string(data))
		return nil
	}, c.cfg.Logger)
	return nil
}

func (c *Chain) reload(data []byte) error {
	config, err := c.decode(data)
	if err != nil {
		return err
	}
	if missing := c.required.Difference(builtIn(config)); missing.Len() > 0 {
		return fmt.Errorf("missing required types: %v", sets.List(missing))
	}
	next, err := c.build(config)
	if err != nil {
		return err
	}
	c.current.Store(next)
	return nil
}

// builtIn are the types of config besides webhooks.
func builtIn(config *apiserver.AuthorizationConfiguration) sets.Set[string] {
	types := sets.New[string]()
	for _, a := range config.Authorizers {
		if a.Type != apiserver.TypeWebhook {
			types.Insert(string(a.Type))
		}
	}
	return types
}

func (c *Chain) decode(data []byte) (*apiserver.AuthorizationConfiguration, error) {
	config, err := configfile.Decode[*apiserver.AuthorizationConfiguration](data)
	if err != nil {
		return nil, err
	}
	known := sets.New(string(apiserver.TypeWebhook), TypeNode, TypeRBAC, TypeAlwaysAllow, TypeAlwaysDeny)
	errs := validation.ValidateAuthorizationConfiguration(c.compiler, nil, config, known, sets.New(string(apiserver.TypeWebhook)))
	if err := errs.ToAggregate(); err != nil {
		return nil, err
	}
	for _, a := range config.Authorizers {
		if want := strings.ToLower(string(a.Type)); a.Type != apiserver.TypeWebhook && a.Name != want {
			return nil, fmt.Errorf("expected name %s for authorizer %s instead of %s", want, a.Type, a.Name)
		}
	}
	return config, nil
}

func (c *Chain) build(config *apiserver.AuthorizationConfiguration) (*links, error) {
	authorizers := []union.NamedAuthorizer{{
		AuthorizerName: "kubernetes.io/system-privileged-group", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup),
	}}
	var resolvers []authorizer.RuleResolver
	for i := range config.Authorizers {
		a := &config.Authorizers[i]
		link, err := c.link(a)
		if err != nil {
			return nil, err
		}
		authorizers = append(authorizers, union.NamedAuthorizer{
			AuthorizerName: a.Name, Authorizer: authorizationmetrics.InstrumentedAuthorizer(string(a.Type), a.Name, link),
		})
		resolvers = append(resolvers, link)
	}
	all, err := union.New(authorizers...)
	if err != nil {
		return nil, err
	}
	return &links{all, union.NewRuleResolvers(resolvers...)}, nil
}

func (c *Chain) link(a *apiserver.AuthorizerConfiguration) (Full, error) {
	switch a.Type {
	case TypeNode:
		return c.cfg.Node, nil
	case TypeRBAC:
		return c.cfg.RBAC, nil
	case TypeAlwaysAllow:
		return authorizerfactory.NewAlwaysAllowAuthorizer(), nil
	case TypeAlwaysDeny:
		return authorizerfactory.NewAlwaysDenyAuthorizer(), nil
	case apiserver.TypeWebhook:
		return c.webhook(a)
	}
	return nil, fmt.Errorf("unknown authorization mode %s specified", a.Type)
}

// retries is how often and how long a webhook is tried.
var retries = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

func (c *Chain) webhook(a *apiserver.AuthorizerConfiguration) (Full, error) {
	rest, err := webhookutil.LoadKubeconfig(*a.Webhook.ConnectionInfo.KubeConfigFile, nil)
	if err != nil {
		return nil, err
	}
	if a.Webhook.Timeout.Duration != 0 {
		rest.Timeout = a.Webhook.Timeout.Duration
	}
	onError := authorizer.DecisionDeny
	if a.Webhook.FailurePolicy == apiserver.FailurePolicyNoOpinion {
		onError = authorizer.DecisionNoOpinion
	}
	allowed, refused := a.Webhook.AuthorizedTTL.Duration, a.Webhook.UnauthorizedTTL.Duration
	if !a.Webhook.CacheAuthorizedRequests {
		allowed = 0
	}
	if !a.Webhook.CacheUnauthorizedRequests {
		refused = 0
	}
	return webhook.New(rest, a.Webhook.SubjectAccessReviewVersion, allowed, refused, retries, onError,
		a.Webhook.MatchConditions, a.Name, webhookMetrics{
			WebhookMetrics: webhookmetrics.NewWebhookMetrics(), MatcherMetrics: authorizationcel.NewMatcherMetrics(),
		}, c.compiler)
}

// webhookMetrics are the series the API server has for webhooks.
type webhookMetrics struct {
	webhookmetrics.NoopRequestMetrics
	webhookmetrics.WebhookMetrics
	authorizationcel.MatcherMetrics
}

// Authorize implements authorizer.Authorizer.
func (c *Chain) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return c.current.Load().Authorize(ctx, a)
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (c *Chain) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return c.current.Load().ConditionsAwareAuthorize(ctx, a)
}

// EvaluateConditions implements authorizer.Authorizer.
func (c *Chain) EvaluateConditions(ctx context.Context, d authorizer.ConditionsAwareDecision, data authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return c.current.Load().EvaluateConditions(ctx, d, data)
}

// RulesFor implements authorizer.RuleResolver.
func (c *Chain) RulesFor(ctx context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	return c.current.Load().RulesFor(ctx, u, namespace)
}
