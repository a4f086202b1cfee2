package artifact

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

// What is pushed can be pulled, by the digest that Push names; with the key that signed
// it and no other.
func TestPushedModuleIsPulled(t *testing.T) {
	w := newWorld(t)
	module := []byte("\x00asm a module")
	for kind, key := range keys(t) {
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ParseSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
		if err != nil {
			t.Fatal(err)
		}
		reference, err := Pusher{PlainHTTP: true, Key: signer}.Push(t.Context(), w.repo+"-"+kind+":v1", module)
		if err != nil {
			t.Fatal(err)
		}
		for other, of := range keys(t) {
			if other == kind {
				continue
			}
			a := pintle.Artifact{Reference: reference, PlainHTTP: true, PublicKey: publicPEM(t, of)}
			if _, err := (Puller{}).Pull(t.Context(), a); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: pulled with another key: %v", kind, err)
			}
		}
		got, err := Puller{}.Pull(t.Context(), pintle.Artifact{Reference: reference, PlainHTTP: true, PublicKey: publicPEM(t, key)})
		if err != nil || !bytes.Equal(got, module) {
			t.Errorf("%s: pulled %q: %v", kind, got, err)
		}
	}
}

func TestPushRefuses(t *testing.T) {
	for _, reference := range []string{"registry.example.com/a/b:v1", "NO REFERENCE"} {
		_, err := Pusher{PlainHTTP: true}.Push(t.Context(), reference, nil)
		if err == nil || !strings.Contains(err.Error(), reference) {
			t.Errorf("%s: %v", reference, err)
		}
	}
	if _, err := ParseSigner([]byte("no key")); err == nil {
		t.Error("took no key for one")
	}
}
