package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func tokens() suite.Case {
	return suite.Case{
		Name:    "auth/tokens",
		Promise: "a service account's token says who asks, is good for its audiences alone, and ends with what it is bound to; anybody with one can find the issuer's keys",
		Run: func(ctx context.Context, e *suite.Env) error {
			if _, err := e.Kube.CoreV1().ServiceAccounts(e.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, metav1.CreateOptions{}); err != nil {
				return err
			}
			secret, err := e.Kube.CoreV1().Secrets(e.Namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "anchor"}}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			bound, err := request(ctx, e, authenticationv1.TokenRequestSpec{
				BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret.Name, UID: secret.UID},
			})
			if err != nil {
				return err
			}
			if err := whoami(ctx, e, bound); err != nil {
				return err
			}
			if err := elsewhere(ctx, e); err != nil {
				return err
			}
			if err := refusedRequests(ctx, e); err != nil {
				return err
			}
			return endsWith(ctx, e, bound, secret.Name)
		},
	}
}

func request(ctx context.Context, e *suite.Env, spec authenticationv1.TokenRequestSpec) (string, error) {
	got, err := e.Kube.CoreV1().ServiceAccounts(e.Namespace).CreateToken(ctx, "web", &authenticationv1.TokenRequest{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return got.Status.Token, nil
}

// whoami asks with the token who is asking, and where the keys are.
func whoami(ctx context.Context, e *suite.Env, token string) error {
	c, err := bearer(e, token)
	if err != nil {
		return err
	}
	me, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	info := me.Status.UserInfo
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + e.Namespace, "system:authenticated"}
	if info.Username != "system:serviceaccount:"+e.Namespace+":web" || !slices.Equal(info.Groups, groups) || len(info.Extra["authentication.kubernetes.io/credential-id"]) != 1 {
		return fmt.Errorf("the token is taken for %+v", info)
	}
	var provider struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	_, body := get(ctx, c, "/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(body), &provider); err != nil || provider.Issuer == "" || provider.Keys == "" {
		return fmt.Errorf("the issuer is not described: %s (%v)", body, err)
	}
	var keys struct {
		Keys []map[string]any `json:"keys"`
	}
	_, body = get(ctx, c, "/openid/v1/jwks")
	if err := json.Unmarshal([]byte(body), &keys); err != nil || len(keys.Keys) == 0 {
		return fmt.Errorf("no keys: %s (%v)", body, err)
	}
	return nil
}

// elsewhere: a token for another audience is no good here, but a review for that
// audience knows it.
func elsewhere(ctx context.Context, e *suite.Env) error {
	token, err := request(ctx, e, authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}})
	if err != nil {
		return err
	}
	c, err := bearer(e, token)
	if err != nil {
		return err
	}
	if err := wantCode(ctx, "a token for another audience", c, "/api", http.StatusUnauthorized); err != nil {
		return err
	}
	review, err := e.Kube.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"vault", "other"}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !review.Status.Authenticated || !slices.Equal(review.Status.Audiences, []string{"vault"}) {
		return fmt.Errorf("reviewed for its audience: %+v", review.Status)
	}
	return nil
}

func refusedRequests(ctx context.Context, e *suite.Env) error {
	short := int64(60)
	for _, tc := range []struct {
		spec authenticationv1.TokenRequestSpec
		want string
	}{
		{authenticationv1.TokenRequestSpec{ExpirationSeconds: &short},
			`TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes`},
		{authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: "none"}}, `secrets "none" not found`},
		{authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "ConfigMap", APIVersion: "v1", Name: "none"}},
			`cannot bind token to object of type /v1, Kind=ConfigMap`},
		{authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: "anchor", UID: "x"}},
			`Operation cannot be fulfilled on Secret "anchor": the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated`},
	} {
		_, err := request(ctx, e, tc.spec)
		if err := wantError("request a token", err, tc.want); err != nil {
			return err
		}
	}
	return nil
}

func endsWith(ctx context.Context, e *suite.Env, token, secret string) error {
	if err := e.Kube.CoreV1().Secrets(e.Namespace).Delete(ctx, secret, metav1.DeleteOptions{}); err != nil {
		return err
	}
	c, err := bearer(e, token)
	if err != nil {
		return err
	}
	// A server may remember for some seconds that a token was good.
	return e.Eventually(ctx, 30*time.Second, "the token of a deleted secret is refused", func(ctx context.Context) (bool, string, error) {
		_, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		return apierrors.IsUnauthorized(err), fmt.Sprint(err), nil
	})
}
