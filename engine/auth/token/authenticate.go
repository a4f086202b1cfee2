package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	jwtid "k8s.io/apiserver/pkg/authentication/token/jwt"
)

// deletionGrace is how long a token outlives the deletion time of what it is
// bound to, so that a terminating pod can finish its work.
const deletionGrace = 60 * time.Second

var errInvalidated = errors.New("service account token has been invalidated")

// AuthenticateToken implements authenticator.Token. A token of another issuer is
// no error: another authenticator may know it.
func (s *Service) AuthenticateToken(ctx context.Context, data string) (*authenticator.Response, bool, error) {
	switch issuer, _ := issuerOf(data); issuer {
	case s.cfg.Issuer:
	case legacyIssuer:
		return s.authenticateLegacy(ctx, data)
	default:
		return nil, false, nil
	}
	public, private, err := s.verify(data)
	if err != nil {
		return nil, false, err
	}
	wanted, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		wanted = s.cfg.Audiences
	}
	audiences := authenticator.Audiences(public.Audience).Intersect(wanted)
	if len(audiences) == 0 {
		return nil, false, fmt.Errorf("token audiences %q is invalid for the target audiences %q", public.Audience, wanted)
	}
	now := s.cfg.Now()
	if err := s.checkBound(ctx, &private.Kubernetes, now); err != nil {
		return nil, false, err
	}
	kube := private.Kubernetes
	info := serviceaccount.ServiceAccountInfo{
		Namespace:    kube.Namespace,
		Name:         kube.ServiceAccount.Name,
		UID:          kube.ServiceAccount.UID,
		CredentialID: jwtid.CredentialIDForJTI(public.ID),
	}
	if kube.Pod != nil {
		info.PodName, info.PodUID = kube.Pod.Name, kube.Pod.UID
	}
	if kube.Node != nil {
		info.NodeName, info.NodeUID = kube.Node.Name, kube.Node.UID
	}
	if kube.WarnAfter != nil && kube.WarnAfter.Time().Before(now) {
		staleTokens.WithContext(ctx).Inc()
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/stale-token",
			fmt.Sprintf("subject: %s, seconds after warning threshold: %.0f", public.Subject, now.Sub(kube.WarnAfter.Time()).Seconds()))
	} else {
		validTokens.WithContext(ctx).Inc()
	}
	return &authenticator.Response{User: info.UserInfo(), Audiences: audiences}, true, nil
}

// verify checks signature, times and that the claims agree with one another.
func (s *Service) verify(data string) (*jwt.Claims, *privateClaims, error) {
	parsed, err := jwt.ParseSigned(data, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, nil, errInvalidSignature
	}
	key, ok := s.keys[parsed.Headers[0].KeyID]
	if !ok {
		return nil, nil, errInvalidSignature
	}
	public, private := &jwt.Claims{}, &privateClaims{}
	if err := parsed.Claims(key.Key, public, private); err != nil {
		return nil, nil, errInvalidSignature
	}
	switch err := public.Validate(jwt.Expected{Issuer: s.cfg.Issuer, Time: s.cfg.Now()}); {
	case errors.Is(err, jwt.ErrExpired):
		return nil, nil, errors.New("service account token has expired")
	case errors.Is(err, jwt.ErrNotValidYet):
		return nil, nil, errors.New("service account token is not valid yet")
	case err != nil:
		return nil, nil, errors.New("service account token is not valid")
	}
	kube := private.Kubernetes
	namespace, name, err := serviceaccount.SplitUsername(public.Subject)
	if err != nil || public.Expiry == nil || namespace != kube.Namespace || name != kube.ServiceAccount.Name || kube.ServiceAccount.UID == "" {
		return nil, nil, errors.New("service account token claims are invalid")
	}
	return public, private, nil
}

var errInvalidSignature = errors.New("invalid bearer token")

// checkBound makes sure that what the token is bound to exists and is the same.
func (s *Service) checkBound(ctx context.Context, kube *kubernetesClaims, now time.Time) error {
	account, err := get[*corev1.ServiceAccount](ctx, s, serviceAccounts, kube.Namespace, kube.ServiceAccount.Name)
	if err := alive("service account", &kube.ServiceAccount, account, err, now); err != nil {
		return err
	}
	if r := kube.Secret; r != nil {
		secret, err := get[*corev1.Secret](ctx, s, secrets, kube.Namespace, r.Name)
		if err := alive("secret", r, secret, err, now); err != nil {
			return err
		}
	}
	if r := kube.Pod; r != nil {
		pod, err := get[*corev1.Pod](ctx, s, pods, kube.Namespace, r.Name)
		// The node of a pod's token says where the pod runs; the pod alone bounds it.
		return alive("pod", r, pod, err, now)
	}
	if r := kube.Node; r != nil {
		node, err := get[*corev1.Node](ctx, s, nodes, "", r.Name)
		return alive("node", r, node, err, now)
	}
	return nil
}

func alive(kind string, r *ref, obj metav1.Object, err error, now time.Time) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: its %s %s is gone", errInvalidated, kind, r.Name)
	case err != nil:
		return fmt.Errorf("get %s %s: %w", kind, r.Name, err)
	case obj.GetUID() != types.UID(r.UID):
		return fmt.Errorf("%w: its %s %s is another of the same name (UID %s)", errInvalidated, kind, r.Name, obj.GetUID())
	case obj.GetDeletionTimestamp() != nil && obj.GetDeletionTimestamp().Time.Before(now.Add(-deletionGrace)):
		return fmt.Errorf("%w: its %s %s has been deleted", errInvalidated, kind, r.Name)
	}
	return nil
}
