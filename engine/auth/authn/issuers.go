package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/options/authenticationconfig/metrics"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"

	"github.com/pintle-io/pintle/engine/auth/configfile"
)

const (
	// newIssuersWithin is how long issuers of a changed file have to answer before
	// the change is given up for now.
	newIssuersWithin = time.Minute
	// oldIssuersFor is how long requests under way may use issuers that are replaced.
	oldIssuersFor = time.Minute
	askAgainAfter = time.Second
)

// IssuersConfig says where the issuers of JSON web tokens (OpenID Connect) are
// configured.
type IssuersConfig struct {
	// File is an AuthenticationConfiguration; empty if Flags describe the issuer.
	File  string
	Flags *OIDC
	// Disallowed issuers are the server's own.
	Disallowed []string
	Audiences  authenticator.Audiences
	// ServerID labels the metrics.
	ServerID string
	Logger   *slog.Logger
}

// Issuers authenticates tokens of the issuers in an AuthenticationConfiguration. It is
// an authenticator.Token; a token of another issuer is not known.
//
// A changed file takes effect when all its issuers have answered; until then, and if
// it is wrong, the issuers before stay. What it says about anonymous requests cannot
// change while the server runs.
type Issuers struct {
	cfg       IssuersConfig
	data      []byte
	anonymous *apiserver.AnonymousAuthConfig
	current   atomic.Pointer[issuerSet]
}

// issuerSet is the authenticators of one state of the file.
type issuerSet struct {
	authenticator.Token
	healthy func() error
	stop    context.CancelFunc
}

// NewIssuers reads the file and begins to fetch the issuers' keys; ctx ends that.
func NewIssuers(ctx context.Context, cfg IssuersConfig) (*Issuers, error) {
	if cfg.File == "" {
		return newFlagIssuers(ctx, cfg)
	}
	data, err := os.ReadFile(cfg.File)
	if err != nil {
		return nil, err
	}
	s := &Issuers{cfg: cfg, data: data}
	config, err := s.decode(data)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration %s: %w", cfg.File, err)
	}
	s.anonymous = config.Anonymous
	first, err := s.build(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration %s: %w", cfg.File, err)
	}
	s.current.Store(first)
	metrics.RegisterMetrics()
	metrics.RecordAuthenticationConfigLastConfigInfo(cfg.ServerID, string(data))
	return s, nil
}

// newFlagIssuers has one issuer, which stays.
func newFlagIssuers(ctx context.Context, cfg IssuersConfig) (*Issuers, error) {
	s := &Issuers{cfg: cfg}
	config, err := cfg.Flags.configuration()
	if err != nil {
		return nil, err
	}
	if err := s.validate(config); err != nil {
		return nil, fmt.Errorf("the flags --oidc-*: %w", err)
	}
	only, err := s.build(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("the flags --oidc-*: %w", err)
	}
	s.current.Store(only)
	return s, nil
}

// Anonymous is what the file says about anonymous requests; nil if nothing.
func (s *Issuers) Anonymous() *apiserver.AnonymousAuthConfig { return s.anonymous }

// AuthenticateToken implements authenticator.Token.
func (s *Issuers) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return s.current.Load().AuthenticateToken(ctx, token)
}

// Run follows the file until ctx ends.
func (s *Issuers) Run(ctx context.Context) error {
	if s.cfg.File == "" {
		return nil
	}
	configfile.Watch(ctx, s.cfg.File, s.data, func(ctx context.Context, data []byte) error {
		err := s.reload(ctx, data)
		if err != nil {
			metrics.RecordAuthenticationConfigAutomaticReloadFailure(s.cfg.ServerID)
			return err
		}
		metrics.RecordAuthenticationConfigAutomaticReloadSuccess(s.cfg.ServerID, string(data))
		return nil
	}, s.cfg.Logger)
	return nil
}

func (s *Issuers) decode(data []byte) (*apiserver.AuthenticationConfiguration, error) {
	config, err := configfile.Decode[*apiserver.AuthenticationConfiguration](data)
	if err != nil {
		return nil, err
	}
	return config, s.validate(config)
}

func (s *Issuers) validate(config *apiserver.AuthenticationConfiguration) error {
	errs := validation.ValidateAuthenticationConfiguration(authenticationcel.NewDefaultCompiler(), config, s.cfg.Disallowed)
	return errs.ToAggregate()
}

func (s *Issuers) reload(ctx context.Context, data []byte) error {
	config, err := s.decode(data)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(config.Anonymous, s.anonymous) {
		return errors.New("anonymous: Forbidden: changed from initial configuration file; restart the server to change it")
	}
	next, err := s.build(ctx, config)
	if err != nil {
		return err
	}
	if err := awaitHealthy(ctx, next.healthy); err != nil {
		next.stop()
		return err
	}
	old := s.current.Swap(next)
	time.AfterFunc(oldIssuersFor, old.stop)
	return nil
}

func awaitHealthy(ctx context.Context, healthy func() error) error {
	ctx, cancel := context.WithTimeout(ctx, newIssuersWithin)
	defer cancel()
	tick := time.NewTicker(askAgainAfter)
	defer tick.Stop()
	for {
		err := healthy()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}

// build makes the authenticators; their fetching ends with ctx or the set's stop.
func (s *Issuers) build(ctx context.Context, config *apiserver.AuthenticationConfiguration) (*issuerSet, error) {
	ctx, cancel := context.WithCancel(ctx)
	var tokens []authenticator.Token
	var checks []func() error
	for _, jwt := range config.JWT {
		issuer, err := s.issuer(ctx, jwt)
		if err != nil {
			cancel()
			return nil, err
		}
		tokens = append(tokens, issuer)
		checks = append(checks, issuer.HealthCheck)
	}
	healthy := func() error {
		var errs []error
		for _, check := range checks {
			errs = append(errs, check())
		}
		return errors.Join(errs...)
	}
	token := authenticator.WrapAudienceAgnosticToken(s.cfg.Audiences, tokenunion.NewFailOnError(tokens...))
	return &issuerSet{Token: token, healthy: healthy, stop: cancel}, nil
}

func (s *Issuers) issuer(ctx context.Context, jwt apiserver.JWTAuthenticator) (oidc.AuthenticatorTokenWithHealthCheck, error) {
	algorithms := oidc.AllValidSigningAlgorithms()
	if s.cfg.Flags != nil {
		algorithms = s.cfg.Flags.SigningAlgs
	}
	opts := oidc.Options{
		JWTAuthenticator: jwt, SupportedSigningAlgs: algorithms, DisallowedIssuers: s.cfg.Disallowed, APIServerID: s.cfg.ServerID,
	}
	if jwt.Issuer.CertificateAuthority != "" {
		ca, err := dynamiccertificates.NewStaticCAContent("oidc-authenticator", []byte(jwt.Issuer.CertificateAuthority))
		if err != nil {
			return nil, err
		}
		opts.CAContentProvider = ca
	}
	return oidc.New(ctx, opts)
}
