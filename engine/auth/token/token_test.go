package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// objects is a Getter over a map; its entries come and go in the tests.
type objects map[string]runtime.Object

func (o objects) Get(_ context.Context, gvr schema.GroupVersionResource, _, name string) (runtime.Object, error) {
	if obj, ok := o[gvr.Resource+"/"+name]; ok {
		return obj, nil
	}
	return nil, apierrors.NewNotFound(gvr.GroupResource(), name)
}

func meta(name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(uid)}
}

type fixture struct {
	*Service
	objects objects
	now     time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		objects: objects{
			"serviceaccounts/web": &corev1.ServiceAccount{ObjectMeta: meta("web", "sa-1")},
			"pods/p":              &corev1.Pod{ObjectMeta: meta("p", "pod-1"), Spec: corev1.PodSpec{ServiceAccountName: "web", NodeName: "n"}},
			"pods/other":          &corev1.Pod{ObjectMeta: meta("other", "pod-2"), Spec: corev1.PodSpec{ServiceAccountName: "default"}},
			"secrets/s":           &corev1.Secret{ObjectMeta: meta("s", "secret-1")},
			"nodes/n":             &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "node-1"}},
		},
	}
	f.Service, err = New(Config{Issuer: "https://issuer", Key: key, Objects: f.objects, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) issue(t *testing.T, spec authenticationv1.TokenRequestSpec) *authenticationv1.TokenRequest {
	t.Helper()
	out, err := f.Issue(context.Background(), "ns", "web", &authenticationv1.TokenRequest{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func bound(kind, name, uid string) *authenticationv1.BoundObjectReference {
	return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name, UID: types.UID(uid)}
}

func seconds(n int64) *int64 { return &n }

func TestBoundTokenCarriesItsIdentity(t *testing.T) {
	f := newFixture(t)
	req := f.issue(t, authenticationv1.TokenRequestSpec{BoundObjectRef: bound("Pod", "p", "pod-1")})
	if got := req.Status.ExpirationTimestamp.Time; !got.Equal(f.now.Add(time.Hour)) {
		t.Errorf("expires %v, want one hour by default", got)
	}
	resp, ok, err := f.AuthenticateToken(context.Background(), req.Status.Token)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if resp.User.GetName() != "system:serviceaccount:ns:web" || resp.User.GetUID() != "sa-1" {
		t.Errorf("user %v", resp.User)
	}
	extra := resp.User.GetExtra()
	delete(extra, "authentication.kubernetes.io/credential-id")
	want := map[string][]string{
		"authentication.kubernetes.io/pod-name":  {"p"},
		"authentication.kubernetes.io/pod-uid":   {"pod-1"},
		"authentication.kubernetes.io/node-name": {"n"},
		"authentication.kubernetes.io/node-uid":  {"node-1"},
	}
	if diff := cmp.Diff(want, extra); diff != "" {
		t.Error(diff)
	}
}

func TestTokensEnd(t *testing.T) {
	deleted := func(o metav1.Object, ago time.Duration) func(*fixture) {
		return func(f *fixture) { at := metav1.NewTime(f.now.Add(-ago)); o.SetDeletionTimestamp(&at) }
	}
	for name, tc := range map[string]struct {
		ref   *authenticationv1.BoundObjectReference
		exp   *int64
		then  func(*fixture)
		wants string // empty: still good
	}{
		"untouched":              {ref: bound("Pod", "p", ""), then: func(*fixture) {}},
		"expired":                {exp: seconds(600), then: func(f *fixture) { f.now = f.now.Add(12 * time.Minute) }, wants: "expired"},
		"account gone":           {then: func(f *fixture) { delete(f.objects, "serviceaccounts/web") }, wants: "service account web is gone"},
		"account replaced":       {then: func(f *fixture) { f.objects["serviceaccounts/web"].(*corev1.ServiceAccount).UID = "x" }, wants: "another of the same name"},
		"pod gone":               {ref: bound("Pod", "p", ""), then: func(f *fixture) { delete(f.objects, "pods/p") }, wants: "pod p is gone"},
		"pod's node gone":        {ref: bound("Pod", "p", ""), then: func(f *fixture) { delete(f.objects, "nodes/n") }},
		"node gone":              {ref: bound("Node", "n", ""), then: func(f *fixture) { delete(f.objects, "nodes/n") }, wants: "node n is gone"},
		"secret gone":            {ref: bound("Secret", "s", ""), then: func(f *fixture) { delete(f.objects, "secrets/s") }, wants: "secret s is gone"},
		"projected lives longer": {ref: bound("Pod", "p", ""), exp: seconds(3607), then: func(f *fixture) { f.now = f.now.Add(48 * time.Hour) }},
		"pod terminating": {ref: bound("Pod", "p", ""), then: func(f *fixture) {
			deleted(f.objects["pods/p"].(metav1.Object), 30*time.Second)(f)
		}},
		"pod long terminated": {ref: bound("Pod", "p", ""), then: func(f *fixture) {
			deleted(f.objects["pods/p"].(metav1.Object), 2*time.Minute)(f)
		}, wants: "has been deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			req := f.issue(t, authenticationv1.TokenRequestSpec{BoundObjectRef: tc.ref, ExpirationSeconds: tc.exp})
			tc.then(f)
			_, ok, err := f.AuthenticateToken(context.Background(), req.Status.Token)
			if tc.wants == "" {
				if !ok || err != nil {
					t.Errorf("refused: %v", err)
				}
			} else if ok || err == nil || !strings.Contains(err.Error(), tc.wants) {
				t.Errorf("ok %v, error %v, want %q", ok, err, tc.wants)
			}
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec authenticationv1.TokenRequestSpec
		is   func(error) bool
	}{
		"short":          {authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(599)}, apierrors.IsInvalid},
		"long":           {authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(1<<32 + 1)}, apierrors.IsInvalid},
		"pod missing":    {authenticationv1.TokenRequestSpec{BoundObjectRef: bound("Pod", "none", "")}, apierrors.IsNotFound},
		"pod of another": {authenticationv1.TokenRequestSpec{BoundObjectRef: bound("Pod", "other", "")}, apierrors.IsBadRequest},
		"pod replaced":   {authenticationv1.TokenRequestSpec{BoundObjectRef: bound("Pod", "p", "old")}, apierrors.IsConflict},
		"strange kind":   {authenticationv1.TokenRequestSpec{BoundObjectRef: bound("ConfigMap", "c", "")}, apierrors.IsBadRequest},
	} {
		_, err := newFixture(t).Issue(context.Background(), "ns", "web", &authenticationv1.TokenRequest{Spec: tc.spec})
		if !tc.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAudiences(t *testing.T) {
	f := newFixture(t)
	vault := f.issue(t, authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}}).Status.Token
	if _, ok, err := f.AuthenticateToken(context.Background(), vault); ok || err == nil {
		t.Error("a token for vault was accepted by the API server")
	}
	ctx := authenticator.WithAudiences(context.Background(), authenticator.Audiences{"vault", "x"})
	resp, ok, err := f.AuthenticateToken(ctx, vault)
	if !ok || err != nil || !cmp.Equal([]string(resp.Audiences), []string{"vault"}) {
		t.Errorf("review for vault: %v %v %v", resp, ok, err)
	}
}

func TestForeignAndForgedTokens(t *testing.T) {
	f, other := newFixture(t), newFixture(t)
	for name, data := range map[string]string{"opaque": "abcdef.0123456789abcdef", "empty": "", "three parts": "a.b.c"} {
		if _, ok, err := f.AuthenticateToken(context.Background(), data); ok || err != nil {
			t.Errorf("%s: ok %v, error %v; want no opinion", name, ok, err)
		}
	}
	forged := other.issue(t, authenticationv1.TokenRequestSpec{}).Status.Token
	if _, ok, err := f.AuthenticateToken(context.Background(), forged); ok || err == nil {
		t.Error("a token signed by another key was accepted")
	}
}

func TestDiscoveryLetsOthersVerify(t *testing.T) {
	f := newFixture(t)
	handlers, err := f.Handlers("")
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	handlers[KeysPath].ServeHTTP(rec, httptest.NewRequest("GET", KeysPath, nil))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(rec.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(f.issue(t, authenticationv1.TokenRequestSpec{}).Status.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(set, &claims); err != nil || claims.Subject != "system:serviceaccount:ns:web" {
		t.Errorf("claims %v: %v", claims, err)
	}
	rec = httptest.NewRecorder()
	handlers[DiscoveryPath].ServeHTTP(rec, httptest.NewRequest("GET", DiscoveryPath, nil))
	if !strings.Contains(rec.Body.String(), `"jwks_uri":"https://issuer/openid/v1/jwks"`) {
		t.Error(rec.Body.String())
	}
}

// TestLegacyTokens: a token in a secret is good while the secret holds it.
func TestLegacyTokens(t *testing.T) {
	f := newFixture(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "robot", UID: "robot-uid"}}
	text, err := f.IssueLegacy(account, "kept")
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "kept"}, Data: map[string][]byte{"token": []byte(text)}}
	f.objects["serviceaccounts/robot"], f.objects["secrets/kept"] = account, secret
	answer, ok, err := f.AuthenticateToken(t.Context(), text)
	if err != nil || !ok || answer.User.GetName() != "system:serviceaccount:ns:robot" {
		t.Fatalf("%+v %v %v", answer, ok, err)
	}
	secret.Labels = map[string]string{"kubernetes.io/legacy-token-invalid-since": "2030-01-01"}
	if _, ok, err := f.AuthenticateToken(t.Context(), text); ok || err == nil {
		t.Error("a token that was marked invalid is taken")
	}
	secret.Labels, secret.Data = nil, map[string][]byte{"token": []byte("another")}
	if _, ok, err := f.AuthenticateToken(t.Context(), text); ok || err == nil {
		t.Error("a token that its secret does not hold is taken")
	}
}
