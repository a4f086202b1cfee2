package artifact

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Signatures are as `cosign sign --key` makes them: beside the artifact, under the
// tag sha256-HEX.sig, an image each of whose layers is a payload that names the
// artifact's digest, with a signature of the payload in an annotation of the layer.
const (
	signatureAnnotation = "dev.cosignproject.cosign/signature"
	payloadType         = "cosign container image signature"
	mostSignatures      = 32
	mostPayload         = 64 << 10
)

// payload is the part of a "simple signing" payload that counts.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
}

// verify looks for one valid signature of the artifact by the key.
func verify(ref name.Digest, key string, options []remote.Option) error {
	public, err := parseKey(key)
	if err != nil {
		return err
	}
	tag := ref.Context().Tag(strings.Replace(ref.DigestStr(), ":", "-", 1) + ".sig")
	image, err := remote.Image(tag, options...)
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrSignature, tag.Name(), err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrSignature, tag.Name(), err)
	}
	why := errors.New("there is none")
	for i, layer := range manifest.Layers {
		if i == mostSignatures {
			break
		}
		if why = verifyLayer(image, layer, ref.DigestStr(), public); why == nil {
			return nil
		}
	}
	return fmt.Errorf("%w by the key in spec.module.oci.publicKey: %w", ErrSignature, why)
}

func verifyLayer(image v1.Image, of v1.Descriptor, digest string, public crypto.PublicKey) error {
	signature, err := base64.StdEncoding.DecodeString(of.Annotations[signatureAnnotation])
	if err != nil || len(signature) == 0 {
		return errors.New("a layer has no signature")
	}
	layer, err := image.LayerByDigest(of.Digest)
	if err != nil {
		return err
	}
	raw, err := readLayer(layer, mostPayload)
	if err != nil {
		return err
	}
	if !signed(public, raw, signature) {
		return errors.New("it was signed by another key, or changed since")
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("read what was signed: %w", err)
	}
	if p.Critical.Type != payloadType || p.Critical.Image.Digest != digest {
		return fmt.Errorf("another thing was signed: %q %s", p.Critical.Type, p.Critical.Image.Digest)
	}
	return nil
}

func parseKey(key string) (crypto.PublicKey, error) {
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return nil, errors.New("spec.module.oci.publicKey: it is no PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("spec.module.oci.publicKey: %w", err)
	}
	return public, nil
}

// signed checks a signature; unknown kinds of keys sign nothing.
func signed(public crypto.PublicKey, message, signature []byte) bool {
	sum := sha256.Sum256(message)
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, sum[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}
