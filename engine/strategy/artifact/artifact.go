// Package artifact pulls modules from OCI registries: by the digest of their
// manifest, within a size, and, if a public key is given, only with a signature by
// it. It also pushes them, signed if a private key is given. It keeps nothing, and
// asks registries for nothing else. Pullers and Pushers are safe for concurrent use.
package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/pintle-io/pintle/engine/apis/pintle"
)

// ErrSignature means that an artifact is not signed by the key that it must be
// signed by.
var ErrSignature = errors.New("no valid signature")

// MediaType of the layer that holds a module.
const MediaType types.MediaType = "application/vnd.wasm.content.layer.v1+wasm"

// mediaTypes are the types of layers that are taken for a module.
var mediaTypes = []types.MediaType{MediaType, "application/wasm", "application/vnd.module.wasm.content.layer.v1+wasm"}

const (
	// mostBytes bounds a module; patience the whole pull.
	mostBytes = 16 << 20
	patience  = time.Minute
)

// Puller pulls artifacts. Its zero value speaks to registries without credentials.
type Puller struct {
	// Transport, if set, is what requests go through.
	Transport http.RoundTripper
}

// Pull gives the module of an artifact.
func (p Puller) Pull(ctx context.Context, a pintle.Artifact) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ref, err := parse(a)
	if err != nil {
		return nil, err
	}
	transport := p.Transport
	if transport == nil {
		transport = remote.DefaultTransport
	}
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithAuth(authn.Anonymous), remote.WithTransport(careful{transport, a.PlainHTTP}),
	}
	if a.PublicKey != "" {
		if err := verify(ref, a.PublicKey, options); err != nil {
			return nil, fmt.Errorf("pull %s: %w", a.Reference, err)
		}
	}
	image, err := remote.Image(ref, options...)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", a.Reference, err)
	}
	module, err := moduleOf(image)
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", a.Reference, err)
	}
	return module, nil
}

// careful speaks HTTP without TLS where that was asked for, and on this machine alone,
// whatever the library takes for local and wherever a registry redirects to.
type careful struct {
	next  http.RoundTripper
	plain bool
}

// RoundTrip implements http.RoundTripper.
func (c careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (!c.plain || !loopback(r.URL.Host)) {
		return nil, fmt.Errorf("%s is asked for without TLS, which spec.module.oci.plainHTTP does not allow", r.URL.Host)
	}
	return c.next.RoundTrip(r)
}

// parse reads a reference; plain HTTP is for this machine alone.
func parse(a pintle.Artifact) (name.Digest, error) {
	options := []name.Option{name.StrictValidation}
	if a.PlainHTTP {
		options = append(options, name.Insecure)
	}
	ref, err := name.NewDigest(a.Reference, options...)
	if err != nil {
		return name.Digest{}, fmt.Errorf("spec.module.oci.reference: %w", err)
	}
	if a.PlainHTTP && !loopback(ref.RegistryStr()) {
		return name.Digest{}, fmt.Errorf("spec.module.oci.plainHTTP: %s is not on the loopback address", ref.RegistryStr())
	}
	return ref, nil
}

func loopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback() || host == "localhost"
}

// moduleOf reads the one layer that is a module.
func moduleOf(image v1.Image) ([]byte, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var found []v1.Layer
	for _, l := range layers {
		kind, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		if slices.Contains(mediaTypes, kind) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("it has %d layers of type %s, and must have one", len(found), MediaType)
	}
	return readLayer(found[0], mostBytes)
}

// readLayer reads a layer as it is stored, and checks its digest.
func readLayer(l v1.Layer, most int64) ([]byte, error) {
	size, err := l.Size()
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("a layer has %d bytes, and may have %d", size, most)
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}
