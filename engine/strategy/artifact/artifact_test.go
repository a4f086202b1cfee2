package artifact

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

// world is a registry on the loopback address.
type world struct {
	t    *testing.T
	repo string
}

func newWorld(t *testing.T) *world {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return &world{t, strings.TrimPrefix(server.URL, "http://") + "/strategies/tier"}
}

// push writes an artifact of these layers and returns its digest.
func (w *world) push(layers ...v1.Layer) v1.Hash {
	w.t.Helper()
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image, err := mutate.AppendLayers(image, layers...)
	if err != nil {
		w.t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(image, w.repo+"@"+digest.String())
	return digest
}

func (w *world) write(image v1.Image, to string) {
	w.t.Helper()
	ref, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		w.t.Fatal(err)
	}
}

func module(text string) v1.Layer { return static.NewLayer([]byte(text), MediaType) }

// sign puts a signature of payload beside the artifact, as cosign does.
func (w *world) sign(of v1.Hash, key crypto.Signer, payload string) {
	w.t.Helper()
	sum := sha256.Sum256([]byte(payload))
	message, opts := sum[:], crypto.SignerOpts(crypto.SHA256)
	if _, ok := key.(ed25519.PrivateKey); ok {
		message, opts = []byte(payload), crypto.Hash(0)
	}
	signature, err := key.Sign(rand.Reader, message, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:       static.NewLayer([]byte(payload), "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(image, fmt.Sprintf("%s:sha256-%s.sig", w.repo, of.Hex))
}

func payloadOf(digest string) string {
	return `{"critical":{"identity":{"docker-reference":"any"},"image":{"docker-manifest-digest":"` + digest +
		`"},"type":"cosign container image signature"},"optional":null}`
}

func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	raw, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: raw}))
}

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ecdsa": ec, "ed25519": ed, "rsa": rs}
}

func TestPull(t *testing.T) {
	w := newWorld(t)
	good := w.push(module("a module"))
	for test, tc := range map[string]struct {
		digest  string
		plain   bool
		problem string
	}{
		"module":    {digest: good.String(), plain: true},
		"no TLS":    {digest: good.String(), problem: "spec.module.oci.plainHTTP"},
		"not there": {digest: "sha256:" + strings.Repeat("0", 64), plain: true, problem: "MANIFEST_UNKNOWN"},
		"no module": {digest: w.push(static.NewLayer([]byte("x"), types.OCILayer)).String(), plain: true, problem: "it has 0 layers of type " + string(MediaType)},
		"two":       {digest: w.push(module("a"), module("b")).String(), plain: true, problem: "it has 2 layers"},
		"too large": {digest: w.push(module(strings.Repeat("x", mostBytes+1))).String(), plain: true, problem: "may have"},
		"by a tag":  {digest: "latest", plain: true, problem: "spec.module.oci.reference"},
	} {
		t.Run(test, func(t *testing.T) {
			got, err := Puller{}.Pull(t.Context(), pintle.Artifact{Reference: w.repo + "@" + tc.digest, PlainHTTP: tc.plain})
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("error %v, want one with %q", err, tc.problem)
				}
				return
			}
			if err != nil || string(got) != "a module" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestPlainHTTPIsForThisMachine: without TLS anybody on the way could watch.
func TestPlainHTTPIsForThisMachine(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for registry, want := range map[string]bool{"127.0.0.1:5000": true, "[::1]:5000": true, "localhost:5000": true, "10.0.0.1:5000": false, "registry.example.com": false, "127.0.0.1.example.com:80": false} {
		_, err := parse(pintle.Artifact{Reference: registry + "/x" + digest, PlainHTTP: true})
		if got := err == nil; got != want {
			t.Errorf("%s: %v, want it allowed: %t", registry, err, want)
		}
	}
}

func TestSignature(t *testing.T) {
	for kind, key := range keys(t) {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			pull := func(of v1.Hash) error {
				got, err := Puller{}.Pull(t.Context(), pintle.Artifact{Reference: w.repo + "@" + of.String(), PlainHTTP: true, PublicKey: publicPEM(t, key)})
				if err == nil && !bytes.HasPrefix(got, []byte("a module")) {
					t.Errorf("got %q", got)
				}
				return err
			}
			signed, other := w.push(module("a module")), w.push(module("a module by somebody else"))
			if err := pull(signed); !errors.Is(err, ErrSignature) {
				t.Errorf("without a signature: %v", err)
			}
			w.sign(signed, key, payloadOf(signed.String()))
			if err := pull(signed); err != nil {
				t.Errorf("signed: %v", err)
			}
			for why, payload := range map[string]string{
				"of another artifact": payloadOf(signed.String()), "of something else": `{"critical":{"type":"x"}}`, "of no JSON": "x",
			} {
				w.sign(other, key, payload)
				if err := pull(other); !errors.Is(err, ErrSignature) {
					t.Errorf("a signature %s: %v", why, err)
				}
			}
			w.sign(other, keys(t)[kind], payloadOf(other.String()))
			if err := pull(other); !errors.Is(err, ErrSignature) {
				t.Errorf("by another key: %v", err)
			}
		})
	}
}

func TestBadKey(t *testing.T) {
	w := newWorld(t)
	of := w.push(module("a module"))
	for _, key := range []string{"x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		_, err := Puller{}.Pull(t.Context(), pintle.Artifact{Reference: w.repo + "@" + of.String(), PlainHTTP: true, PublicKey: key})
		if err == nil || !strings.Contains(err.Error(), "spec.module.oci.publicKey") {
			t.Errorf("key %q: %v", key, err)
		}
	}
}
