package artifact

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Pusher writes artifacts that a Puller takes.
type Pusher struct {
	// PlainHTTP speaks without TLS, on the loopback address alone.
	PlainHTTP bool
	// Keychain has the credentials of registries.
	Keychain authn.Keychain
	// Key, if set, signs what is pushed.
	Key crypto.Signer
	// Transport, if set, is what requests go through.
	Transport http.RoundTripper
}

// Push writes a module to REGISTRY/REPOSITORY[:TAG] and returns the reference with its
// digest, which is what a Strategy takes.
func (p Pusher) Push(ctx context.Context, reference string, module []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var options []name.Option
	if p.PlainHTTP {
		options = append(options, name.Insecure)
	}
	tag, err := name.NewTag(reference, options...)
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", reference, err)
	}
	if p.PlainHTTP && !loopback(tag.RegistryStr()) {
		return "", fmt.Errorf("push to %s without TLS: %s is not on the loopback address", reference, tag.RegistryStr())
	}
	transport := p.Transport
	if transport == nil {
		transport = remote.DefaultTransport
	}
	to := []remote.Option{remote.WithContext(ctx), remote.WithTransport(careful{transport, p.PlainHTTP})}
	if p.Keychain != nil {
		to = append(to, remote.WithAuthFromKeychain(p.Keychain))
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(module, MediaType))
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	if err := remote.Write(tag, image, to...); err != nil {
		return "", fmt.Errorf("push to %s: %w", reference, err)
	}
	if p.Key != nil {
		if err := p.sign(tag.Context(), digest, to); err != nil {
			return "", fmt.Errorf("sign %s: %w", reference, err)
		}
	}
	return tag.Context().Digest(digest.String()).Name(), nil
}

// sign writes a signature beside the artifact, as the comment of the constants says.
func (p Pusher) sign(repository name.Repository, digest v1.Hash, to []remote.Option) error {
	var what payload
	what.Critical.Identity.Reference = repository.Name()
	what.Critical.Image.Digest, what.Critical.Type = digest.String(), payloadType
	raw, err := json.Marshal(what)
	if err != nil {
		return err
	}
	message, opts := raw, crypto.SignerOpts(crypto.Hash(0))
	if _, ok := p.Key.(ed25519.PrivateKey); !ok {
		sum := sha256.Sum256(raw)
		message, opts = sum[:], crypto.SHA256
	}
	signature, err := p.Key.Sign(rand.Reader, message, opts)
	if err != nil {
		return err
	}
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(raw, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		return err
	}
	return remote.Write(repository.Tag(strings.Replace(digest.String(), ":", "-", 1)+".sig"), image, to...)
}

// ParseSigner reads a private key from PEM, as `openssl genpkey` writes it.
func ParseSigner(raw []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T signs nothing", key)
	}
	return signer, nil
}
