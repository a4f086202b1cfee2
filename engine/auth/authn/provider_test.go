package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/wait"
)

// provider is an OpenID provider on a real TLS server.
type provider struct {
	*httptest.Server
	signer jose.Signer
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := jose.JSONWebKey{Key: key, KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"}
	p := &provider{}
	if p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jwk}, nil); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}})
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) sign(t *testing.T, more map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": p.URL, "aud": "pintle", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(), "hd": "example.com",
		"roles": []string{"dev", "ops"}, "team": "blue",
	}
	for k, v := range more {
		claims[k] = v
	}
	token, err := jwt.Signed(p.signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// config is the file; prefix goes before user names.
func (p *provider) config(prefix string) string {
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}))
	return `
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}]
jwt:
- issuer:
    url: ` + p.URL + `
    audiences: [pintle]
    certificateAuthority: |
` + indent(ca) + `
  claimValidationRules:
  - expression: claims.hd == "example.com"
    message: the domain must be example.com
  claimMappings:
    username: {expression: '"` + prefix + `" + claims.sub'}
    groups: {expression: claims.roles}
    uid: {claim: sub}
    extra: [{key: example.com/team, valueExpression: claims.team}]
  userValidationRules:
  - expression: "!user.username.startsWith('` + prefix + `system:')"
    message: the name is reserved
`
}

func indent(text string) string {
	return "      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ")
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	// Written beside and renamed, as careful administrators and kubelets do.
	if err := os.WriteFile(name+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	return name
}

func newIssuers(t *testing.T, file string) *Issuers {
	t.Helper()
	s, err := NewIssuers(t.Context(), IssuersConfig{
		File: file, Disallowed: []string{"https://kubernetes.default.svc"}, Audiences: []string{"api"}, ServerID: "test", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitHealthy(t.Context(), s.current.Load().healthy); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokensOfAnIssuer(t *testing.T) {
	p, stranger := newProvider(t), newProvider(t)
	s := newIssuers(t, writeFile(t, filepath.Join(t.TempDir(), "authn.yaml"), p.config("oidc:")))
	stranger.URL = p.URL // signs with another key
	for name, tc := range map[string]struct {
		token string
		fails string // a part of the error
	}{
		"good":            {token: p.sign(t, nil)},
		"expired":         {token: p.sign(t, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), fails: "token is expired"},
		"other audience":  {token: p.sign(t, map[string]any{"aud": "elsewhere"}), fails: "expected audience"},
		"wrong claim":     {token: p.sign(t, map[string]any{"hd": "example.org"}), fails: "the domain must be example.com"},
		"reserved name":   {token: p.sign(t, map[string]any{"sub": "system:admin"}), fails: "the name is reserved"},
		"missing claim":   {token: p.sign(t, map[string]any{"roles": nil}), fails: ""},
		"another's key":   {token: stranger.sign(t, nil), fails: "failed to verify signature"},
		"another issuer":  {token: p.sign(t, map[string]any{"iss": "https://elsewhere"}), fails: "-"},
		"not a web token": {token: "abc", fails: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := s.AuthenticateToken(t.Context(), tc.token)
			switch {
			case tc.fails == "-":
				if ok || err != nil {
					t.Errorf("not ours, but %v %v", ok, err)
				}
			case tc.fails != "":
				if ok || err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v %v", ok, err)
				}
			case !ok || err != nil:
				t.Errorf("%v %v", ok, err)
			case name == "good":
				u := got.User
				extra := map[string][]string{"example.com/team": {"blue"}}
				if u.GetName() != "oidc:ann" || u.GetUID() != "ann" || !cmp.Equal(u.GetGroups(), []string{"dev", "ops"}) || !cmp.Equal(u.GetExtra(), extra) {
					t.Errorf("%+v", u)
				}
			}
		})
	}
}

func TestIssuersFollowTheirFile(t *testing.T) {
	p := newProvider(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "authn.yaml"), p.config("a:"))
	s := newIssuers(t, file)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	token := p.sign(t, nil)
	is := func(want string) {
		t.Helper()
		var got string
		err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
			resp, ok, err := s.AuthenticateToken(ctx, token)
			if ok {
				got = resp.User.GetName()
			}
			return got == want, err
		})
		if err != nil {
			t.Fatalf("user %q, want %q: %v", got, want, err)
		}
	}
	is("a:ann")
	writeFile(t, file, "not: [a, configuration")
	writeFile(t, file, strings.Replace(p.config("never:"), "/livez", "/readyz", 1))
	writeFile(t, file, p.config("b:"))
	is("b:ann")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReloadsThatAreRefused(t *testing.T) {
	p := newProvider(t)
	s := newIssuers(t, writeFile(t, filepath.Join(t.TempDir(), "authn.yaml"), p.config("a:")))
	for name, tc := range map[string]struct{ data, why string }{
		"no YAML":         {"{", "json parse error"},
		"unknown field":   {p.config("b:") + "surprise: true\n", `unknown field "surprise"`},
		"another kind":    {"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n", "AuthorizationConfiguration"},
		"our own issuer":  {strings.Replace(p.config("b:"), p.URL, "https://kubernetes.default.svc", 1), "must not overlap"},
		"bad expression":  {strings.Replace(p.config("b:"), "claims.roles", "claims.", 1), "Syntax error"},
		"anonymous moved": {strings.Replace(p.config("b:"), "/livez", "/readyz", 1), "changed from initial configuration file"},
	} {
		if err := s.reload(t.Context(), []byte(tc.data)); err == nil || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
