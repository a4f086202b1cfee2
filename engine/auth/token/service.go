package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/endpoints/request"
)

var (
	serviceAccounts = corev1.SchemeGroupVersion.WithResource("serviceaccounts")
	pods            = corev1.SchemeGroupVersion.WithResource("pods")
	secrets         = corev1.SchemeGroupVersion.WithResource("secrets")
	nodes           = corev1.SchemeGroupVersion.WithResource("nodes")
)

// Getter reads one current object; engine/client's Client is one.
type Getter interface {
	Get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error)
}

// Config describes a token service. Issuer, Key and Objects are required.
type Config struct {
	// Issuer is the iss claim: the URL at which discovery is served.
	Issuer string
	// Audiences are those of the API server, given to tokens that ask for none
	// and expected of requests; the issuer alone if empty.
	Audiences []string
	// Key signs new tokens.
	Key *ecdsa.PrivateKey
	// Retired keys still verify, after a rotation.
	Retired []*ecdsa.PublicKey
	// Objects answers whether what a token is bound to still exists.
	Objects Getter
	// MaxLife bounds the expiry a client may ask for; zero leaves it to the API's
	// bound of 2^32 seconds.
	MaxLife time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
}

// Service issues and authenticates tokens. It is an authenticator.Token.
type Service struct {
	cfg    Config
	signer jose.Signer
	keys   map[string]jose.JSONWebKey
	order  []string
}

// New checks the configuration and prepares the keys.
func New(cfg Config) (*Service, error) {
	if cfg.Issuer == "" || cfg.Key == nil || cfg.Objects == nil {
		return nil, errors.New("token: Issuer, Key and Objects are required")
	}
	if len(cfg.Audiences) == 0 {
		cfg.Audiences = []string{cfg.Issuer}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	registerMetrics()
	s := &Service{cfg: cfg, keys: map[string]jose.JSONWebKey{}}
	for _, public := range append([]*ecdsa.PublicKey{&cfg.Key.PublicKey}, cfg.Retired...) {
		id, err := keyID(public)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		s.keys[id] = jose.JSONWebKey{Key: public, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
		s.order = append(s.order, id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       jose.JSONWebKey{Key: cfg.Key, KeyID: s.order[0], Algorithm: string(jose.ES256), Use: "sig"},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	s.signer = signer
	return s, nil
}

// Audiences are those that requests to this server are expected to be meant for.
func (s *Service) Audiences() authenticator.Audiences { return s.cfg.Audiences }

func keyID(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func get[T runtime.Object](ctx context.Context, s *Service, gvr schema.GroupVersionResource, namespace, name string) (T, error) {
	var none T
	// Errors name the resource of the request, which is the service account's token.
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{
		IsResourceRequest: true, Verb: "get", APIGroup: gvr.Group, APIVersion: gvr.Version, Resource: gvr.Resource, Namespace: namespace, Name: name,
	})
	obj, err := s.cfg.Objects.Get(ctx, gvr, namespace, name)
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, apierrors.NewInternalError(fmt.Errorf("%s %s/%s is a %T", gvr.Resource, namespace, name, obj))
	}
	return typed, nil
}
