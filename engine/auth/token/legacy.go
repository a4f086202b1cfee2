package token

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
)

// legacyIssuer is that of tokens kept in Secrets, which do not expire.
const legacyIssuer = "kubernetes/serviceaccount"

// invalidSince labels secrets whose token is no longer taken.
const invalidSince = "kubernetes.io/legacy-token-invalid-since"

// legacyClaims are the claims of a token kept in a Secret.
type legacyClaims struct {
	Account   string `json:"kubernetes.io/serviceaccount/service-account.name"`
	UID       string `json:"kubernetes.io/serviceaccount/service-account.uid"`
	Secret    string `json:"kubernetes.io/serviceaccount/secret.name"`
	Namespace string `json:"kubernetes.io/serviceaccount/namespace"`
}

// IssueLegacy makes the token of an account that is to be kept in a Secret. It is
// good as long as the secret holds it and the account is there.
func (s *Service) IssueLegacy(account *corev1.ServiceAccount, secret string) (string, error) {
	return jwt.Signed(s.signer).Claims(jwt.Claims{
		Issuer: legacyIssuer, Subject: serviceaccount.MakeUsername(account.Namespace, account.Name),
	}).Claims(legacyClaims{Account: account.Name, UID: string(account.UID), Secret: secret, Namespace: account.Namespace}).Serialize()
}

func (s *Service) authenticateLegacy(ctx context.Context, data string) (*authenticator.Response, bool, error) {
	parsed, err := jwt.ParseSigned(data, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, false, errInvalidSignature
	}
	key, ok := s.keys[parsed.Headers[0].KeyID]
	if !ok {
		return nil, false, errInvalidSignature
	}
	public, private := &jwt.Claims{}, &legacyClaims{}
	if err := parsed.Claims(key.Key, public, private); err != nil {
		return nil, false, errInvalidSignature
	}
	namespace, name, err := serviceaccount.SplitUsername(public.Subject)
	if err != nil || namespace != private.Namespace || name != private.Account || private.UID == "" || private.Secret == "" {
		return nil, false, errors.New("service account token claims are invalid")
	}
	audiences := s.cfg.Audiences
	if wanted, ok := authenticator.AudiencesFrom(ctx); ok {
		if audiences = wanted.Intersect(s.cfg.Audiences); len(audiences) == 0 {
			return nil, false, fmt.Errorf("token audiences %q is invalid for the target audiences %q", s.cfg.Audiences, wanted)
		}
	}
	secret, err := get[*corev1.Secret](ctx, s, secrets, namespace, private.Secret)
	if err != nil || secret.DeletionTimestamp != nil {
		return nil, false, errInvalidated
	}
	if subtle.ConstantTimeCompare(secret.Data[corev1.ServiceAccountTokenKey], []byte(data)) != 1 {
		return nil, false, fmt.Errorf("%w: it does not match the server's copy", errInvalidated)
	}
	if secret.Labels[invalidSince] != "" {
		return nil, false, fmt.Errorf("%w: the token in secret %s/%s has been marked invalid; use tokens from the TokenRequest API, "+
			"or remove the label %s from the secret to use it for a while", errInvalidated, namespace, secret.Name, invalidSince)
	}
	account, err := get[*corev1.ServiceAccount](ctx, s, serviceAccounts, namespace, name)
	if err := alive("service account", &ref{Name: name, UID: private.UID}, account, err, s.cfg.Now()); err != nil {
		return nil, false, err
	}
	info := serviceaccount.ServiceAccountInfo{Namespace: namespace, Name: name, UID: private.UID}
	return &authenticator.Response{User: info.UserInfo(), Audiences: audiences}, true, nil
}
