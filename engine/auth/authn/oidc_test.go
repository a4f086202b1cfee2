package authn

import (
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIssuerByFlags(t *testing.T) {
	p := newProvider(t)
	ca := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	for name, tc := range map[string]struct {
		change func(*OIDC)
		claims map[string]any
		user   string // empty: refused
		groups []string
	}{
		"usual":            {user: p.URL + "#ann"},
		"prefix":           {change: func(o *OIDC) { o.UsernamePrefix = "oidc:" }, user: "oidc:ann"},
		"no prefix":        {change: func(o *OIDC) { o.UsernamePrefix = "-" }, user: "ann"},
		"email":            {change: func(o *OIDC) { o.UsernameClaim = "email" }, claims: map[string]any{"email": "a@b.c", "email_verified": true}, user: "a@b.c"},
		"groups":           {change: func(o *OIDC) { o.GroupsClaim, o.GroupsPrefix = "roles", "g:" }, user: p.URL + "#ann", groups: []string{"g:dev", "g:ops"}},
		"required claim":   {change: func(o *OIDC) { o.RequiredClaims = map[string]string{"team": "blue"} }, user: p.URL + "#ann"},
		"missing claim":    {change: func(o *OIDC) { o.RequiredClaims = map[string]string{"team": "red"} }},
		"another audience": {claims: map[string]any{"aud": "elsewhere"}},
		"algorithm":        {change: func(o *OIDC) { o.SigningAlgs = []string{"RS256"} }},
	} {
		t.Run(name, func(t *testing.T) {
			flags := &OIDC{IssuerURL: p.URL, ClientID: "pintle", CAFile: ca, UsernameClaim: "sub", SigningAlgs: []string{"ES256"}}
			if tc.change != nil {
				tc.change(flags)
			}
			s, err := NewIssuers(t.Context(), IssuersConfig{Flags: flags, Audiences: []string{"api"}, ServerID: "test", Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if err := awaitHealthy(t.Context(), s.current.Load().healthy); err != nil {
				t.Fatal(err)
			}
			got, ok, err := s.AuthenticateToken(t.Context(), p.sign(t, tc.claims))
			if tc.user == "" {
				if ok || err == nil {
					t.Errorf("taken: %+v", got)
				}
				return
			}
			if err != nil || !ok {
				t.Fatalf("%v %v", ok, err)
			}
			if got.User.GetName() != tc.user || !cmp.Equal(got.User.GetGroups(), tc.groups) {
				t.Errorf("%+v", got.User)
			}
		})
	}
	_, err := NewIssuers(t.Context(), IssuersConfig{Flags: &OIDC{IssuerURL: "http://a", ClientID: "b", UsernameClaim: "sub"}})
	if err == nil || !strings.Contains(err.Error(), "URL scheme must be https") {
		t.Errorf("an issuer without TLS: %v", err)
	}
}
