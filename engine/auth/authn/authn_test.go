package authn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/auth/pki"
)

func lister(t *testing.T, secrets ...*corev1.Secret) corev1listers.SecretNamespaceLister {
	t.Helper()
	index := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, s := range secrets {
		if err := index.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	l := corev1listers.NewSecretLister(index).Secrets("kube-system")
	if all, err := l.List(labels.Everything()); err != nil || len(all) != len(secrets) {
		t.Fatal(all, err)
	}
	return l
}

func clientRequest(t *testing.T, p *pki.PKI, name string, groups ...string) *http.Request {
	t.Helper()
	cert, key, err := p.ClientCertificate(name, groups, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/api", nil)
	req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}
	return req
}

func bearer(path, token string) *http.Request {
	req := httptest.NewRequest("GET", path, nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req
}

func testPKI(t *testing.T) *pki.PKI {
	t.Helper()
	p, err := pki.Open(pki.Config{Dir: filepath.Join(t.TempDir(), "pki")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhoIsAsking(t *testing.T) {
	ours, theirs := testPKI(t), testPKI(t)
	now := time.Now()
	token, secret := NewBootstrapToken(now, time.Hour)
	auth, err := New(Config{ClientRoots: ours.Pool(), Secrets: lister(t, secret)})
	if err != nil {
		t.Fatal(err)
	}
	id := token[:6]
	for name, tc := range map[string]struct {
		req    *http.Request
		user   string // empty: not authenticated
		groups []string
		fails  bool
	}{
		"client certificate":   {req: clientRequest(t, ours, "ann", "dev"), user: "ann", groups: []string{"dev", "system:authenticated"}},
		"foreign certificate":  {req: clientRequest(t, theirs, "kubernetes-admin", "system:masters"), fails: true},
		"bootstrap token":      {req: bearer("/api", token), user: "system:bootstrap:" + id, groups: []string{"system:bootstrappers", "system:bootstrappers:pintle:join", "system:authenticated"}},
		"wrong secret":         {req: bearer("/api", id+".0000000000000000"), fails: true},
		"unknown token":        {req: bearer("/api", "zzzzzz.0000000000000000"), fails: true},
		"nobody":               {req: bearer("/api", "")},
		"nobody asking health": {req: bearer("/readyz", ""), user: "system:anonymous", groups: []string{"system:unauthenticated"}},
		"bad token for health": {req: bearer("/readyz", "nonsense"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := auth.Request.AuthenticateRequest(tc.req)
			if (err != nil) != tc.fails || ok != (tc.user != "") {
				t.Fatalf("ok %v, error %v", ok, err)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(tc.groups, resp.User.GetGroups()); resp.User.GetName() != tc.user || diff != "" {
				t.Errorf("user %q, groups %s", resp.User.GetName(), diff)
			}
		})
	}
}

func TestBootstrapTokensThatAreNotGood(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(*corev1.Secret){
		"expired":       func(s *corev1.Secret) { s.Data[keyExpiration] = []byte("2025-12-31T23:59:59Z") },
		"bad time":      func(s *corev1.Secret) { s.Data[keyExpiration] = []byte("soon") },
		"other type":    func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque },
		"other id":      func(s *corev1.Secret) { s.Data[keyID] = []byte("aaaaaa") },
		"not for this":  func(s *corev1.Secret) { delete(s.Data, keyUsage) },
		"foreign group": func(s *corev1.Secret) { s.Data[keyGroups] = []byte("system:masters") },
	} {
		token, secret := NewBootstrapToken(now, time.Hour)
		change(secret)
		b := &bootstrapTokens{secrets: lister(t, secret), now: func() time.Time { return now }}
		if resp, ok, err := b.AuthenticateToken(context.Background(), token); ok || err != nil {
			t.Errorf("%s: %v %v %v", name, resp, ok, err)
		}
	}
}

// counting counts how often a chain is verified.
type counting struct {
	authenticator.Request
	calls int
}

func (c *counting) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	c.calls++
	return c.Request.AuthenticateRequest(req)
}

func TestCertificatesAreRememberedForAWhile(t *testing.T) {
	p, now := testPKI(t), time.Now()
	certs := newCertificates(p.Pool(), func() time.Time { return now })
	counter := &counting{Request: certs.verifier}
	certs.verifier = counter
	req := clientRequest(t, p, "ann")
	for range 3 {
		if _, ok, err := certs.AuthenticateRequest(req); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if counter.calls != 1 {
		t.Errorf("verified %d times, want once", counter.calls)
	}
	now = now.Add(rememberFor)
	if _, ok, err := certs.AuthenticateRequest(req); !ok || err != nil || counter.calls != 2 {
		t.Errorf("ok %v, error %v, verified %d times, want twice", ok, err, counter.calls)
	}
}
