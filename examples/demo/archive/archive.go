// Package archive packs one static binary into an OCI image archive, with no
// registry, daemon or base image. The same input gives the same bytes.
//
// It never pulls or pushes anything; all state is the caller's.
package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is what to pack.
type Image struct {
	// Name is the reference that the archive carries, such as "demo/web:1".
	Name string
	// Binary is the path of a statically linked program; it becomes the image's
	// only file and its entry point.
	Binary string
	// User and group as numbers, such as "65532:65532".
	User string
	// Port that the program serves, informative; 0 for none.
	Port int
}

// nameAnnotation carries the name. Importers complete it as they do for names in
// manifests; containerd's own annotation would have to be complete.
const nameAnnotation = "org.opencontainers.image.ref.name"

// Write writes the archive, an OCI image layout as a tar file.
func Write(w io.Writer, img Image) error {
	image, err := build(img)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", img.Name, err)
	}
	dir, err := os.MkdirTemp("", "oci-layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := p.AppendImage(image, layout.WithAnnotations(map[string]string{nameAnnotation: img.Name})); err != nil {
		return err
	}
	return tarFolder(w, dir)
}

// WriteFile writes the archive to a file.
func WriteFile(file string, img Image) error {
	var buf bytes.Buffer
	if err := Write(&buf, img); err != nil {
		return err
	}
	return os.WriteFile(file, buf.Bytes(), 0o644)
}

func build(img Image) (v1.Image, error) {
	program := "/" + filepath.Base(img.Binary)
	content, err := programLayer(img.Binary, program)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		return nil, err
	}
	config := &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{program}, User: img.User, WorkingDir: "/"},
	}
	if img.Port != 0 {
		config.Config.ExposedPorts = map[string]struct{}{fmt.Sprintf("%d/tcp", img.Port): {}}
	}
	old, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.RootFS, config.History = old.RootFS, old.History
	return mutate.ConfigFile(image, config)
}

// programLayer is a tar of the program alone.
func programLayer(file, name string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	if err := addFile(tw, path.Base(name), 0o755, data); err != nil {
		return nil, err
	}
	err = tw.Close()
	return buf.Bytes(), err
}

func addFile(tw *tar.Writer, name string, mode int64, data []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := tw.Write(data)
	return err
}

// tarFolder writes the files of a folder in the order of their names.
func tarFolder(w io.Writer, dir string) error {
	tw := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return addFile(tw, filepath.ToSlash(name), 0o644, data)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}
