package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func TestWrite(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(binary, []byte("not really a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	img := Image{Name: "demo/hello:1", Binary: binary, User: "65532:65532", Port: 8080}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := Write(w, img); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("packed twice, two archives")
	}

	index, err := layout.ImageIndexFromPath(unpack(t, &first))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("manifests: %+v, %v", manifest, err)
	}
	if got := manifest.Manifests[0].Annotations[nameAnnotation]; got != "demo/hello:1" {
		t.Errorf("annotation %s: %q", nameAnnotation, got)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/hello" || config.OS != "linux" {
		got, _ := json.Marshal(config)
		t.Errorf("config %s, %v", got, err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers: %d, %v", len(layers), err)
	}
	files, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	h, err := tar.NewReader(files).Next()
	if err != nil || h.Name != "hello" || h.Mode != 0o755 {
		t.Errorf("the layer's file: %+v, %v", h, err)
	}
}

func unpack(t *testing.T, archive io.Reader) string {
	t.Helper()
	dir := t.TempDir()
	for tr := tar.NewReader(archive); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMissingBinary(t *testing.T) {
	if err := Write(io.Discard, Image{Name: "demo/none:1", Binary: "/nowhere/program"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
