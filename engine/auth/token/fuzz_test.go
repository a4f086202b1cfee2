package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
)

// No token but those that were issued is anybody's.
func FuzzAuthenticateToken(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(Config{Issuer: "https://issuer", Key: key, Objects: objects{}})
	if err != nil {
		f.Fatal(err)
	}
	for _, token := range []string{
		"", ".", "..", "a.b.c", strings.Repeat(".", 100), "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3VlciJ9.",
		"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3VlciJ9.AAAA", "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOlsiaHR0cHM6Ly9pc3N1ZXIiXX0.AAAA",
		"eyJhbGciOiJFUzI1NiIsInppcCI6IkRFRiJ9.e30.AA",
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if r, ok, _ := s.AuthenticateToken(context.Background(), token); ok {
			t.Errorf("%q is %v", token, r.User)
		}
	})
}
