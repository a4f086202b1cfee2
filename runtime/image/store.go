// Package image keeps the images of a machine in containerd: importing archives,
// pulling by reference, and finding what an image says about itself. Which image
// is pulled when is decided by the agent.
//
// A Store is safe for concurrent use; pulls of one reference at the same time
// share one download.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"

	"github.com/pintle-io/pintle/runtime/container"
)

// Config of a Store.
type Config struct {
	Namespace     string
	Snapshotter   string
	RegistryHosts string
}

// Store implements container.Images.
type Store struct {
	client *client.Client
	cfg    Config
	pulls  singleflight.Group
}

// NewStore uses a connected client; it starts nothing.
func NewStore(c *client.Client, cfg Config) *Store { return &Store{client: c, cfg: cfg} }

func (s *Store) scope(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, s.cfg.Namespace)
}

// Normalize gives the full form of a reference: "web" is
// "docker.io/library/web:latest".
func Normalize(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", fmt.Errorf("image reference %q: %w", ref, err)
	}
	return named.String(), nil
}

// Resolve finds a local image and its configuration.
func (s *Store) Resolve(ctx context.Context, ref string) (client.Image, ocispec.ImageConfig, error) {
	ctx = s.scope(ctx)
	var cfg ocispec.ImageConfig
	img, err := s.find(ctx, ref)
	if err != nil {
		return nil, cfg, err
	}
	full, _, err := s.config(ctx, img)
	return img, full.Config, err
}

// find looks up by name, by digest, or by image id.
func (s *Store) find(ctx context.Context, ref string) (client.Image, error) {
	if dgst, err := digest.Parse(ref); err == nil {
		return s.byDigest(ctx, dgst, "")
	}
	name, err := Normalize(ref)
	if err != nil {
		return nil, err
	}
	img, err := s.client.GetImage(ctx, name)
	if err == nil {
		return img, nil
	}
	if !errdefs.IsNotFound(err) {
		return nil, err
	}
	if named, perr := reference.ParseDockerRef(ref); perr == nil {
		if d, ok := named.(reference.Digested); ok {
			return s.byDigest(ctx, d.Digest(), named.Name())
		}
	}
	return nil, fmt.Errorf("image %s: %w", name, container.ErrNotFound)
}

// byDigest finds an image by its target's digest or by its configuration's.
func (s *Store) byDigest(ctx context.Context, dgst digest.Digest, repo string) (client.Image, error) {
	list, err := s.client.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	for _, img := range list {
		if repo != "" && !strings.HasPrefix(img.Name(), repo+":") && !strings.HasPrefix(img.Name(), repo+"@") {
			continue
		}
		if img.Target().Digest == dgst {
			return img, nil
		}
		if desc, err := img.Config(ctx); err == nil && repo == "" && desc.Digest == dgst {
			return img, nil
		}
	}
	return nil, fmt.Errorf("image %s: %w", dgst, container.ErrNotFound)
}

func (s *Store) config(ctx context.Context, img client.Image) (ocispec.Image, digest.Digest, error) {
	var out ocispec.Image
	desc, err := img.Config(ctx)
	if err != nil {
		return out, "", fmt.Errorf("image %s: %w", img.Name(), err)
	}
	b, err := content.ReadBlob(ctx, s.client.ContentStore(), desc)
	if err != nil {
		return out, "", fmt.Errorf("image %s: %w", img.Name(), err)
	}
	return out, desc.Digest, json.Unmarshal(b, &out)
}

// ShownRef is what a container status shows as imageID: name@digest.
func (s *Store) ShownRef(img client.Image) string {
	named, err := reference.ParseDockerRef(img.Name())
	if err != nil {
		return img.Target().Digest.String()
	}
	return named.Name() + "@" + img.Target().Digest.String()
}

// Image describes one local image.
func (s *Store) Image(ctx context.Context, ref string) (container.Image, error) {
	ctx = s.scope(ctx)
	img, err := s.find(ctx, ref)
	if err != nil {
		return container.Image{}, err
	}
	return s.describe(ctx, img)
}

func (s *Store) describe(ctx context.Context, img client.Image) (container.Image, error) {
	cfg, id, err := s.config(ctx, img)
	if err != nil {
		return container.Image{}, err
	}
	size, err := img.Size(ctx)
	if err != nil {
		return container.Image{}, err
	}
	ref := s.ShownRef(img)
	names := []string{ref}
	if img.Name() != ref {
		names = append(names, img.Name())
	}
	return container.Image{ID: id.String(), Names: names, Size: size, User: cfg.Config.User, Ref: ref}, nil
}

// Images lists all local images, one entry per image id.
func (s *Store) Images(ctx context.Context) ([]container.Image, error) {
	ctx = s.scope(ctx)
	list, err := s.client.ListImages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	byID := map[string]*container.Image{}
	var order []string
	for _, img := range list {
		d, err := s.describe(ctx, img)
		if err != nil {
			// An image for another platform, or one being removed.
			continue
		}
		have, ok := byID[d.ID]
		if !ok {
			byID[d.ID] = &d
			order = append(order, d.ID)
			continue
		}
		have.Names = append(have.Names, d.Names...)
	}
	out := make([]container.Image, 0, len(order))
	for _, id := range order {
		slices.Sort(byID[id].Names)
		byID[id].Names = slices.Compact(byID[id].Names)
		out = append(out, *byID[id])
	}
	return out, nil
}

// RemoveImage removes every name of the image that ref names.
func (s *Store) RemoveImage(ctx context.Context, ref string) error {
	ctx = s.scope(ctx)
	img, err := s.find(ctx, ref)
	if errors.Is(err, container.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := s.client.ListImages(ctx, "target.digest=="+img.Target().Digest.String())
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := s.client.ImageService().Delete(ctx, i.Name(), images.SynchronousDelete()); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove image %s: %w", i.Name(), err)
		}
	}
	return nil
}

// ImportImages reads an OCI or docker archive, compressed or not, and unpacks
// what fits this machine's platform.
func (s *Store) ImportImages(ctx context.Context, r io.Reader) ([]container.Image, error) {
	ctx = s.scope(ctx)
	plain, err := decompress(r)
	if err != nil {
		return nil, fmt.Errorf("read image archive: %w", err)
	}
	defer plain.Close()
	found, err := s.client.Import(ctx, plain,
		client.WithImportPlatform(platforms.Default()),
		client.WithImageRefTranslator(archiveName))
	if err != nil {
		return nil, fmt.Errorf("import images: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New("import images: the archive names no image (annotation org.opencontainers.image.ref.name or a docker tag is needed)")
	}
	out := make([]container.Image, 0, len(found))
	for _, f := range found {
		img := client.NewImage(s.client, f)
		if err := img.Unpack(ctx, s.cfg.Snapshotter); err != nil {
			return out, fmt.Errorf("unpack image %s: %w", f.Name, err)
		}
		d, err := s.describe(ctx, img)
		if err != nil {
			return out, err
		}
		out = append(out, d)
	}
	return out, nil
}

// archiveName turns the name an archive gives into a full reference. A bare tag
// ("latest") names nothing and is skipped.
func archiveName(name string) string {
	if !strings.ContainsAny(name, "/:@") {
		return ""
	}
	full, err := Normalize(name)
	if err != nil {
		return ""
	}
	return full
}
